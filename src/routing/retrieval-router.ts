import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import type { Device } from "../runtime/device.js";
import type { Embedder } from "./embedder.js";
import { createExactSearch } from "./exact-search.js";
import { expectSameEncoder, type KeyEncoderRecord } from "./key-encoder.js";
import { listKeyOwners } from "./key-owners.js";
import type { Router } from "./router.js";
import { createVotingRouter, type VoteOptions } from "./vote.js";

/** An expert and the keys that it is found by. */
export interface ExpertVectors {
  readonly id: string;
  /** `[keys, width]`, as the encoder has pooled them (`makeKeys`). */
  readonly keys: Float32Array;
}

/** Options of {@link createRetrievalRouter}. */
export interface RetrievalRouterOptions {
  readonly device: Device;
  readonly embedder: Embedder;
  readonly experts: readonly ExpertVectors[];
  /** How the keys were made; queries are written in the same format. */
  readonly keyEncoder: KeyEncoderRecord;
  readonly vote?: VoteOptions;
}

/** A router that holds its keys on a device. */
export interface RetrievalRouter extends Router, AsyncDisposable {
  close(): Promise<void>;
}

/**
 * Retrieval of experts (RoE; Jang et al. 2023): every query votes for the expert whose embedded training input is nearest to it. With the
 * default options the expert with most votes answers alone; the next ones are in the ranking.
 * @throws CadreError `mismatch` where the embedder is not that of the keys; `invalid-argument` without experts, for an expert without keys or
 * listed twice; `non-finite` for keys with a NaN.
 */
export async function createRetrievalRouter(options: RetrievalRouterOptions): Promise<RetrievalRouter> {
  const { device, embedder, experts, keyEncoder, vote } = options;
  const { width } = embedder.identity;
  expectSameEncoder(keyEncoder, embedder.identity);
  const { sorted, owners } = listKeyOwners(experts, ({ id, keys }) => {
    if (keys.length % width !== 0) {
      throw new CadreError(
        "invalid-argument",
        `routing: expert "${id}": expected keys of ${width} numbers each, got ${keys.length} numbers`,
      );
    }
    return keys.length / width;
  });
  const joined = new Float32Array(owners.length * width);
  let filled = 0;
  for (const { id, keys } of sorted) {
    joined.set(finishKeys(embedder, { id, keys }), filled);
    filled += keys.length;
  }
  const search = await createExactSearch({ device, keys: joined, dimension: width });
  const router = createVotingRouter({
    format: keyEncoder.format,
    vote,
    find: async (texts, count, { signal }) => {
      const found = await search.nearest(await embedder.embed(texts, { signal }), count, { signal });
      return found.map((nearest) => nearest.map(({ position, score }) => ({ ...at(owners, position), score })));
    },
  });
  return { ...router, close: search.close, [Symbol.asyncDispose]: search.close };
}

/** Says whose keys are bad. */
function finishKeys(embedder: Embedder, { id, keys }: ExpertVectors): Float32Array {
  try {
    return embedder.finish(keys);
  } catch (error) {
    if (!CadreError.isInstance(error)) throw error;
    throw new CadreError(error.code, `routing: expert "${id}": ${error.message}`, { cause: error });
  }
}

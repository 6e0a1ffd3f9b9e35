import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import type { PooledEncoder } from "./pooled-encoder.js";
import { DEFAULT_SEED, KEYS_PER_EXPERT, sampleIndices } from "./sample.js";
import { formatText, type RoutingText, type TextFormat } from "./text-format.js";

/** Options of {@link makeKeys}. */
export interface MakeKeysOptions {
  readonly encoder: Pick<PooledEncoder, "pool">;
  readonly format: TextFormat;
  /** Training inputs of the expert. */
  readonly texts: readonly RoutingText[];
  /** Most keys; default 100. */
  readonly most?: number;
  /** Seed of the sample, an integer in [0, 2^32); default 42. */
  readonly seed?: number;
  /** Takes effect between two batches. */
  readonly signal?: AbortSignal;
}

/** Keys of an expert. */
export interface MadeKeys {
  /** `[keys, width]`, pooled and neither adjusted nor normalised, so that an adjustment can be measured on them later. */
  readonly keys: Float32Array;
  /** Which of the training inputs they are, in ascending order. */
  readonly sampled: readonly number[];
  /** These inputs in the format, as they were encoded. */
  readonly texts: readonly string[];
}

/**
 * Encodes a seeded sample of training inputs: 100 of them, or all where there are fewer.
 * @throws CadreError `invalid-argument` without inputs; `non-finite`, `aborted`, `closed`.
 */
export async function makeKeys(options: MakeKeysOptions): Promise<MadeKeys> {
  const { encoder, format, texts, most = KEYS_PER_EXPERT, seed = DEFAULT_SEED, signal } = options;
  if (texts.length === 0 || !Number.isInteger(most) || most < 1) {
    throw new CadreError(
      "invalid-argument",
      `makeKeys: expected at least one training input and one key, got ${texts.length} inputs and at most ${most} keys`,
    );
  }
  const sampled = sampleIndices({ available: texts.length, most, seed });
  const written = sampled.map((index) => formatText(at(texts, index), format));
  return { keys: await encoder.pool(written, { signal }), sampled, texts: written };
}

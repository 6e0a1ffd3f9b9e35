import { CadreError } from "../core/errors.js";
import type { Device } from "../runtime/device.js";
import { type Adjustment, type AdjustmentKind, fitAdjustment } from "./adjustment.js";
import { createEmbedder } from "./embedder.js";
import type { KeyEncoderRecord } from "./key-encoder.js";
import type { PooledEncoder } from "./pooled-encoder.js";
import { measureRetrieval, type RetrievalAccuracy, type SeenTask } from "./retrieval-accuracy.js";
import { createRetrievalRouter, type ExpertVectors } from "./retrieval-router.js";

/** Options of {@link chooseAdjustment}. */
export interface ChooseAdjustmentOptions {
  readonly device: Device;
  readonly encoder: Pick<PooledEncoder, "identity" | "pool">;
  readonly keyEncoder: KeyEncoderRecord;
  /** The library's seen experts, on whose keys adjustments are measured. */
  readonly experts: readonly ExpertVectors[];
  /** Inputs of their tasks that are no keys, e.g. of the validation split. Never those of unseen tasks. */
  readonly tasks: readonly SeenTask[];
  readonly signal?: AbortSignal;
}

/** The adjustment that was chosen, and why. */
export interface ChosenAdjustment {
  readonly adjustment: Adjustment;
  /** By each adjustment that was tried. */
  readonly accuracies: Readonly<Partial<Record<AdjustmentKind, RetrievalAccuracy>>>;
}

/**
 * Chooses by which adjustment most texts of seen tasks find their task's expert, the simplest of equally good ones.
 * Once all texts do, nothing further is tried.
 * @throws CadreError `invalid-argument` without texts, otherwise as `createRetrievalRouter` and `fitAdjustment` do.
 */
export async function chooseAdjustment(options: ChooseAdjustmentOptions): Promise<ChosenAdjustment> {
  const { device, experts, keyEncoder, tasks, signal } = options;
  const encoder = remembering(options.encoder);
  const dimension = encoder.identity.width;
  const vectors = new Float32Array(experts.reduce((sum, { keys }) => sum + keys.length, 0));
  let filled = 0;
  for (const { keys } of experts) {
    vectors.set(keys, filled);
    filled += keys.length;
  }
  let best: { readonly adjustment: Adjustment; readonly byText: number } | undefined;
  const accuracies: Partial<Record<AdjustmentKind, RetrievalAccuracy>> = {};
  for (const kind of ["none", "centred", "whitened"] as const) {
    const adjustment = await fitAdjustment(kind, { vectors, dimension });
    const embedder = createEmbedder(encoder, adjustment);
    await using router = await createRetrievalRouter({ device, embedder, experts, keyEncoder });
    const accuracy = await measureRetrieval(router, tasks, signal === undefined ? {} : { signal });
    const { byText } = accuracy;
    accuracies[kind] = accuracy;
    if (best === undefined || byText > best.byText) best = { adjustment, byText };
    if (byText === 1) break;
  }
  if (best === undefined || Number.isNaN(best.byText)) {
    throw new CadreError("invalid-argument", "chooseAdjustment: expected texts of at least one seen task, got none");
  }
  return { adjustment: best.adjustment, accuracies };
}

/** An encoder that encodes every list of texts once: the same ones are embedded under every adjustment, alone and for the vote. */
function remembering(encoder: Pick<PooledEncoder, "identity" | "pool">): Pick<PooledEncoder, "identity" | "pool"> {
  const known = new Map<string, Promise<Float32Array>>();
  return {
    identity: encoder.identity,
    pool(texts, options) {
      const key = JSON.stringify(texts);
      const found = known.get(key) ?? encoder.pool(texts, options);
      known.set(key, found);
      return found;
    },
  };
}

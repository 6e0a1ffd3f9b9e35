import { type Adjustment, adjust, NO_ADJUSTMENT } from "./adjustment.js";
import type { EncoderIdentity } from "./key-encoder.js";
import type { PooledEncoder } from "./pooled-encoder.js";
import { normalizeVectors } from "./unit-vectors.js";

/** Texts to vectors of length 1, whose dot product says how alike texts are. */
export interface Embedder {
  /** Of the encoder. */
  readonly identity: EncoderIdentity;
  /**
   * Embeds texts, `[texts, identity.width]`.
   * @throws CadreError `non-finite`, `aborted`, `closed`.
   */
  embed(texts: readonly string[], options?: { readonly signal?: AbortSignal | undefined }): Promise<Float32Array>;
  /** What `embed` makes of vectors that the encoder has pooled, `[n, identity.width]`: stored keys, say. The result is new. */
  finish(pooled: Float32Array): Float32Array;
}

/**
 * An embedder from an encoder. A vector of zeros, which an adjustment makes of a text that is as the mean is, stays one and is near to nothing.
 * @throws CadreError `mismatch`, at the first call, for an adjustment of another width.
 */
export function createEmbedder(
  encoder: Pick<PooledEncoder, "identity" | "pool">,
  adjustment: Adjustment = NO_ADJUSTMENT,
): Embedder {
  const finish = (pooled: Float32Array): Float32Array => {
    const vectors = adjust(adjustment, { vectors: pooled, dimension: encoder.identity.width });
    normalizeVectors(vectors, encoder.identity.width);
    return vectors;
  };
  return {
    identity: encoder.identity,
    embed: async (texts, options) => finish(await encoder.pool(texts, options)),
    finish,
  };
}

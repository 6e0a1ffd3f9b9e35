/** Options of `relativePositionBuckets`. */
export interface RelativePositionOptions {
  readonly queries: number;
  readonly keys: number;
  readonly buckets: number;
  readonly maxDistance: number;
  /** Encoder: keys on both sides. Decoder: keys up to the query. */
  readonly bidirectional: boolean;
}

/**
 * T5's bucket of each query-key distance, `[queries, keys]` row-major (Raffel et al. 2020, section 2.1; transformers
 * `_relative_position_bucket`): half of the buckets for exact small distances, the rest spaced logarithmically up to the maximum.
 */
export function relativePositionBuckets(options: RelativePositionOptions): Int32Array {
  const { queries, keys } = options;
  const byDistance = new Map<number, number>();
  const result = new Int32Array(queries * keys);
  for (let query = 0; query < queries; query++) {
    for (let key = 0; key < keys; key++) {
      const distance = key - query;
      let bucket = byDistance.get(distance);
      if (bucket === undefined) {
        bucket = bucketOf(distance, options);
        byDistance.set(distance, bucket);
      }
      result[query * keys + key] = bucket;
    }
  }
  return result;
}

function bucketOf(distance: number, { buckets, maxDistance, bidirectional }: RelativePositionOptions): number {
  const available = bidirectional ? Math.floor(buckets / 2) : buckets;
  const offset = bidirectional && distance > 0 ? available : 0;
  const length = bidirectional ? Math.abs(distance) : Math.max(-distance, 0);
  const exact = Math.floor(available / 2);
  if (length < exact) {
    return offset + length;
  }
  // The reference computes this quotient in float32, which decides the bucket where the logarithm is nearly whole.
  const ratio = Math.fround(
    Math.fround(Math.log(Math.fround(length / exact))) / Math.fround(Math.log(maxDistance / exact)),
  );
  const logarithmic = exact + Math.trunc(Math.fround(ratio * (available - exact)));
  return offset + Math.min(logarithmic, available - 1);
}

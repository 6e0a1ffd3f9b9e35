import type { Value } from "../graph/graph.js";
import { attention, attentionBias } from "../graph/ops/attention.js";
import { add, where } from "../graph/ops/elementwise.js";
import { matmul } from "../graph/ops/matmul.js";
import { concat, slice } from "../graph/ops/shape-ops.js";
import { softmax } from "../graph/ops/softmax.js";
import { sizeAt } from "../graph/shape.js";

/**
 * How many entries of its caches a run of several decoding steps sees: those of earlier runs, which do not change in it, and one of every
 * step of its own. Two parts, because ONNX has no growing tensor: whatever a step changes is copied as a whole, and that is only the
 * second.
 */
export interface CacheWindow {
  /** Entries from before the run; a row's are the last of them, the others are masked. 0: there is no such part. */
  readonly past: number;
  /** Steps of the run; step `i` fills entry `i`, those behind it are masked. */
  readonly recent: number;
}

/** Keys or values `[rows, heads, entries, headWidth]`: those of earlier runs (absent where there are none), and those of this run. */
export interface Cache {
  readonly past: Value | undefined;
  readonly recent: Value;
}

/** What a step asks of its caches, `[rows, heads, 1, headWidth]` each. */
export interface StepAttention {
  readonly query: Value;
  readonly key: Value;
  readonly value: Value;
}

/** The caches' second part with the step's entry in it, and what the query found, `[rows, heads, 1, headWidth]`. */
export interface CachedAttention {
  readonly context: Value;
  readonly recentKeys: Value;
  readonly recentValues: Value;
}

/**
 * Attention of one query a row over its caches and the step's own entry.
 * @param options.current `[1, 1, recent, 1]`, bool: the entry that the step fills.
 * @param options.bias Added to the scores, mask included, `[1 or rows, 1 or heads, 1, past + recent]`.
 * @param options.scale Factor of the scores; default 1, as in T5.
 */
export function cachedAttention(
  { query, key, value }: StepAttention,
  { keys, values }: { readonly keys: Cache; readonly values: Cache },
  { current, bias, scale = 1 }: { readonly current: Value; readonly bias: Value; readonly scale?: number },
): CachedAttention {
  const recentKeys = where(current, key, keys.recent);
  const recentValues = where(current, value, values.recent);
  if (keys.past === undefined || values.past === undefined) {
    const context = attention(query, recentKeys, recentValues, { bias: attentionBias(undefined, bias), scale });
    return { context, recentKeys, recentValues };
  }
  const past = sizeAt(keys.past.shape, 2, "cachedAttention");
  const recent = sizeAt(recentKeys.shape, 2, "cachedAttention");
  // Joining the scores, not the keys: a score for every entry instead of `headWidth` numbers.
  const products = [keys.past, recentKeys].map((part) => matmul(query, part, { transposeB: true, alpha: scale }));
  const probabilities = softmax(add(concat(products, 3), bias));
  const context = add(
    matmul(slice(probabilities, { axis: 3, start: 0, end: past }), values.past),
    matmul(slice(probabilities, { axis: 3, start: past, end: past + recent }), recentValues),
  );
  return { context, recentKeys, recentValues };
}

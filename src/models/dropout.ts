import type { Value } from "../graph/graph.js";
import { mul } from "../graph/ops/elementwise.js";
import { dropoutMask } from "../graph/random.js";
import type { Dim, Shape } from "../graph/shape.js";
import type { DropoutOptions } from "./model.js";

/** Applies dropout at successive sites; the identity where there is none. */
export interface Dropout {
  /** Drops elements of a value; along `lengthAxis` the same ones everywhere, unless masks are asked for by element. */
  apply(value: Value, lengthAxis: number): Value;
  /**
   * Dropout of attention probabilities. With masks that are equal for all queries (`length`), dropping a probability is dropping its value
   * row, `values [batch, heads, keys, headDim]`, which is far smaller; else a mask for every probability.
   */
  attention(values: Value, scoreShape: Shape): { readonly values: Value; readonly probabilityMask: Value | undefined };
}

/** Numbers the sites in the order in which a model asks, so that the same model draws the same masks. */
export function createDropout(options: DropoutOptions | undefined): Dropout {
  if (options === undefined || options.rate === 0) {
    return { apply: (value) => value, attention: (values) => ({ values, probabilityMask: undefined }) };
  }
  const { rate, key, broadcast = "length" } = options;
  let site = 0;
  const mask = (shape: Shape): Value => dropoutMask(key, site++, shape, rate);
  const along = (shape: Shape, axis: number): Shape =>
    shape.map((dim, index): Dim => (index === axis && broadcast === "length" ? 1 : dim));
  return {
    apply: (value, lengthAxis) => mul(value, mask(along(value.shape, lengthAxis))),
    attention: (values, scoreShape) => {
      if (broadcast === "length") {
        // [batch, heads, keys, headDim] · [batch, heads, keys, 1]
        return { values: mul(values, mask([...values.shape.slice(0, 3), 1])), probabilityMask: undefined };
      }
      return { values, probabilityMask: mask(scoreShape) };
    },
  };
}

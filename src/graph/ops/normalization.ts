import { expectShape, graphOf, only, type Value } from "../graph.js";
import { INFERRED_DIM, sizeAt } from "../shape.js";
import { add, div, mul, reciprocal, sqrt, square, sub } from "./elementwise.js";
import { matmul } from "./matmul.js";
import { reduceSumNode, reshapeNode } from "./primitives.js";
import { reduceMean } from "./reduce.js";

/**
 * Root-mean-square normalisation over the last axis, as T5 uses it: `weight · x / √(mean(x²) + epsilon)`, without mean or bias
 * (Zhang & Sennrich 2019). `input [..., d]`, `weight [d]`.
 */
export function rmsNorm(input: Value, weight: Value, epsilon: number): Value {
  const width = sizeAt(input.shape, -1, "rmsNorm");
  expectShape("rmsNorm", "a weight", weight, [width]);
  const graph = graphOf("rmsNorm", input, weight);
  const { output, scale } = graph.untaped(() => rmsForward(input, weight, epsilon));
  graph.record({
    label: "rmsNorm",
    inputs: [input, weight],
    outputs: [output],
    // With r = scale: dx = r·(g∘w) - x · r³/d · Σ(g∘x∘w),  dw = Σ r·(g∘x). Both sums are products with g∘x, which is computed once.
    backward: ([gradient], needed) => {
      if (gradient === undefined) {
        return [];
      }
      const product = reshapeNode(mul(gradient, input), [INFERRED_DIM, width]);
      const rowScale = reshapeNode(scale, [INFERRED_DIM, 1]);
      const weightGradient = needed[1]
        ? reshapeNode(matmul(product, rowScale, { transposeA: true }), [width])
        : undefined;
      if (!needed[0]) {
        return [undefined, weightGradient];
      }
      // [1, width] · [rows, width]ᵀ
      const sums = reshapeNode(matmul(reshapeNode(weight, [1, width]), product, { transposeB: true }), scale.shape);
      const along = mul(mul(sums, mul(square(scale), scale)), 1 / width);
      return [sub(mul(mul(gradient, weight), scale), mul(input, along)), weightGradient];
    },
  });
  return output;
}

function rmsForward(input: Value, weight: Value, epsilon: number): { output: Value; scale: Value } {
  const scaleShape = [...input.shape.slice(0, -1), 1];
  if (input.dtype === "float32") {
    const [output, scale] = graphOf("rmsNorm", input, weight).emit({
      opType: "SimplifiedLayerNormalization",
      inputs: [input, weight],
      outputs: [
        { dtype: input.dtype, shape: input.shape },
        { dtype: input.dtype, shape: scaleShape },
      ],
      attributes: { axis: { int: -1 }, epsilon: { float: epsilon }, stash_type: { int: 1 } },
    });
    return { output: only(output), scale: only(scale) };
  }
  const scale = reciprocal(sqrt(add(reduceMean(square(input), [-1], { keepDims: true }), epsilon)));
  return { output: mul(mul(input, scale), weight), scale };
}

/** Layer normalisation over the last axis with weight and bias (Ba et al. 2016). `input [..., d]`, `weight [d]`, `bias [d]`. */
export function layerNorm(input: Value, weight: Value, bias: Value, epsilon: number): Value {
  const width = sizeAt(input.shape, -1, "layerNorm");
  expectShape("layerNorm", "a weight", weight, [width]);
  expectShape("layerNorm", "a bias", bias, [width]);
  const graph = graphOf("layerNorm", input, weight, bias);
  const { output, normalized, scale } = graph.untaped(() => {
    const centred = sub(input, reduceMean(input, [-1], { keepDims: true }));
    const deviation = sqrt(add(reduceMean(square(centred), [-1], { keepDims: true }), epsilon));
    const unit = div(centred, deviation);
    return { output: add(mul(unit, weight), bias), normalized: unit, scale: reciprocal(deviation) };
  });
  graph.record({
    label: "layerNorm",
    inputs: [input, weight, bias],
    outputs: [output],
    backward: ([gradient], needed) => {
      if (gradient === undefined) {
        return [];
      }
      const leading = input.shape.slice(0, -1).map((_, axis) => axis);
      const weighted = mul(gradient, weight);
      const mean = reduceMean(weighted, [-1], { keepDims: true });
      const along = reduceMean(mul(weighted, normalized), [-1], { keepDims: true });
      return [
        needed[0] ? mul(sub(sub(weighted, mean), mul(normalized, along)), scale) : undefined,
        needed[1] ? reduceSumNode(mul(gradient, normalized), leading, false) : undefined,
        needed[2] ? reduceSumNode(gradient, leading, false) : undefined,
      ];
    },
  });
  return output;
}

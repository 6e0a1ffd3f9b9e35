/**
 * Typed ONNX graph builder with reverse-mode gradients: `cadre/graph`.
 * @module
 */
export type { DType } from "../tensors/dtype.js";
export type { Tensor } from "../tensors/tensor.js";
export { gradients } from "./gradients.js";
export { type ExternalTensor, Graph, stopGradient, type Value } from "./graph.js";
export { type LoopOptions, type LoopResult, type LoopStep, loop } from "./loop.js";
export * from "./ops/activations.js";
export { type AttentionBias, type AttentionOptions, attention, attentionBias } from "./ops/attention.js";
export { linearLogProbability } from "./ops/cross-entropy.js";
export * from "./ops/elementwise.js";
export { gatherElements, gatherRows, scatterAddRows } from "./ops/gather.js";
export { type GemmOptions, gemm, type MatmulOptions, matmul } from "./ops/matmul.js";
export * from "./ops/normalization.js";
export * from "./ops/reduce.js";
export * from "./ops/shape-ops.js";
export * from "./ops/softmax.js";
export { dropoutMask, type RandomKey, randomBits, randomKey, randomUniform } from "./random.js";
export { recomputed } from "./recompute.js";
export { serializeGraph } from "./serialize.js";
export type { Dim, Shape } from "./shape.js";

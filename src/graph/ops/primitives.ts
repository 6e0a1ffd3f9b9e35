import { CadreError } from "../../core/errors.js";
import type { DType } from "../../tensors/dtype.js";
import { emitOne, graphOf, type Value } from "../graph.js";
import { broadcastAxes, formatShape, INFERRED_DIM, reducedShape, type Shape, sameShape } from "../shape.js";

/** A value, or a number that becomes a scalar constant of the other operand's dtype. */
export type Operand = Value | number;

/** True for the dtypes through which gradients flow. */
export function isFloat(dtype: DType): boolean {
  return dtype === "float32" || dtype === "float64" || dtype === "float16" || dtype === "bfloat16";
}

/** Turns numbers into scalars of the other side's dtype. @throws CadreError `invalid-argument` if the dtypes differ. */
export function operands(op: string, left: Operand, right: Operand): [Value, Value] {
  const graph = graphOf(op, left, right);
  const dtype = typeof left === "number" ? (typeof right === "number" ? "float32" : right.dtype) : left.dtype;
  const a = typeof left === "number" ? graph.scalar(dtype, left) : left;
  const b = typeof right === "number" ? graph.scalar(dtype, right) : right;
  if (a.dtype !== b.dtype) {
    throw new CadreError(
      "invalid-argument",
      `${op}: expected operands of one dtype, got ${a.dtype} ${formatShape(a.shape)} and ${b.dtype} ${formatShape(b.shape)}`,
    );
  }
  return [a, b];
}

// What follows emits without recording a gradient: the parts of which gradient rules are made. They stand below the operations so that
// operations whose rules need each other (a sum expands, an expansion sums) do not import each other.

/** The reductions that ONNX has as one node. */
export type Reduction = "ReduceSum" | "ReduceMax" | "ReduceSumSquare";

/** A reduction over the axes; over none, which ONNX would take for all, it works element by element. */
export function reduceNode(opType: Reduction, input: Value, axes: readonly number[], keepDims: boolean): Value {
  const graph = graphOf(opType, input);
  const emission =
    axes.length > 0
      ? { opType, inputs: [input, graph.integers(axes)], attributes: { keepdims: { int: keepDims ? 1 : 0 } } }
      : opType === "ReduceSumSquare"
        ? { opType: "Mul", inputs: [input, input] }
        : { opType: "Identity", inputs: [input] };
  return emitOne(graph, emission, input.dtype, reducedShape(input.shape, axes, keepDims));
}

/** ReduceSum over the axes. */
export function reduceSumNode(input: Value, axes: readonly number[], keepDims: boolean): Value {
  return reduceNode("ReduceSum", input, axes, keepDims);
}

/** Reshape; one symbolic dimension becomes ONNX's -1, several are read from the inputs at run time. */
export function reshapeNode(input: Value, shape: Shape): Value {
  const graph = graphOf("reshape", input);
  const symbolic = shape.filter((dim) => typeof dim === "string").length;
  const vector =
    symbolic <= 1
      ? graph.integers(shape.map((dim) => (typeof dim === "number" ? dim : -1)))
      : graph.shapeVector(shape);
  return emitOne(graph, { opType: "Reshape", inputs: [input, vector] }, input.dtype, shape);
}

/** Expand to a shape; an axis that the input has already is written as 1, which leaves it as it is and needs no size. */
export function expandNode(input: Value, shape: Shape): Value {
  if (sameShape(input.shape, shape)) {
    return input;
  }
  const graph = graphOf("expand", input);
  const offset = shape.length - input.shape.length;
  const factors = shape.map((dim, axis) => (dim === input.shape[axis - offset] ? 1 : dim));
  return emitOne(graph, { opType: "Expand", inputs: [input, graph.shapeVector(factors)] }, input.dtype, shape);
}

/** Transpose: output axis i is input axis `permutation[i]`. */
export function transposeNode(input: Value, permutation: readonly number[]): Value {
  return emitOne(
    graphOf("transpose", input),
    { opType: "Transpose", inputs: [input], attributes: { perm: { ints: permutation } } },
    input.dtype,
    permutation.map((axis) => input.shape[axis] ?? 1),
  );
}

/** Sums a gradient over the axes along which a value of shape `shape` was broadcast. */
export function sumTo(gradient: Value, shape: Shape): Value {
  if (sameShape(gradient.shape, shape)) {
    return gradient;
  }
  const axes = broadcastAxes(gradient.shape, shape);
  const summed = axes.length === 0 ? gradient : reduceSumNode(gradient, axes, true);
  return sameShape(summed.shape, shape) ? summed : reshapeNode(summed, shape);
}

/**
 * Zeros of a shape, made at run time. A constant would be stored at full size in the model, and ONNX Runtime would fold an Expand of a
 * constant into one; so the zero is derived from `source`, any value with at least one element of an integer dtype.
 */
export function runtimeZeros(source: Value, dtype: DType, shape: Shape): Value {
  const graph = graphOf("zeros", source);
  const flat = emitOne(graph, { opType: "Reshape", inputs: [source, graph.integers([-1])] }, source.dtype, [INFERRED_DIM]);
  const first = emitOne(graph, { opType: "Gather", inputs: [flat, graph.scalar("int64", 0)] }, source.dtype, []);
  const zero = emitOne(graph, { opType: "Sub", inputs: [first, first] }, source.dtype, []);
  const typed = emitOne(
    graph,
    { opType: "CastLike", inputs: [zero, graph.scalar(dtype, 0)] },
    dtype,
    [],
  );
  return expandNode(typed, shape);
}

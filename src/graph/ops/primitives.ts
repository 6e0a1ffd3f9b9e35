import { CadreError } from "../../core/errors.js";
import type { DType } from "../../tensors/dtype.js";
import { emitOne, graphOf, type Value } from "../graph.js";
import { broadcastAxes, type Dim, formatShape, INFERRED_DIM, reducedShape, type Shape, sameShape } from "../shape.js";

/** A value, or a number that becomes a scalar constant of the other operand's dtype. */
export type Operand = Value | number;

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

/**
 * The sum over the axes, with equal bits at any number of threads. ONNX Runtime's ReduceSum chooses its order of summation by the number of
 * threads where a reduced axis lies between kept ones (or kept ones between reduced ones), so axes are summed run by run from the last, and
 * a run in the middle by a product with a row of ones, which is also faster.
 */
export function reduceSumNode(input: Value, axes: readonly number[], keepDims: boolean): Value {
  const runs = contiguousRuns(axes);
  const rank = input.shape.length;
  const isOuter = ({ first, last }: Run) => first === 0 || last === rank - 1;
  if ((input.dtype !== "float32" && input.dtype !== "float64") || (runs.length <= 1 && runs.every(isOuter))) {
    return reduceNode("ReduceSum", input, axes, keepDims);
  }
  let sum = input;
  for (const run of runs.toReversed()) {
    const runAxes = axes.filter((axis) => run.first <= axis && axis <= run.last);
    sum = (isOuter(run) ? undefined : sumOfMiddle(sum, run)) ?? reduceNode("ReduceSum", sum, runAxes, true);
  }
  return keepDims ? sum : reshapeNode(sum, reducedShape(input.shape, axes, false));
}

interface Run {
  readonly first: number;
  readonly last: number;
}

/** Neighbouring axes joined, in ascending order. */
function contiguousRuns(axes: readonly number[]): Run[] {
  const runs: Run[] = [];
  for (const axis of [...new Set(axes)].sort((left, right) => left - right)) {
    const run = runs.at(-1);
    if (run?.last === axis - 1) {
      runs[runs.length - 1] = { first: run.first, last: axis };
    } else {
      runs.push({ first: axis, last: axis });
    }
  }
  return runs;
}

/** The sum over axes with kept ones on both sides, as `ones [1, summed] · input [..., summed, rest]`; undefined where `summed` has no name. */
function sumOfMiddle(input: Value, { first, last }: Run): Value | undefined {
  const graph = graphOf("reduceSum", input);
  const leading = input.shape.slice(0, first);
  const summed = joinedDim(input.shape.slice(first, last + 1));
  if (summed === INFERRED_DIM) {
    return undefined;
  }
  const rest = joinedDim(input.shape.slice(last + 1));
  // [..., summed axes, other axes] → [..., summed, rest]
  const flat =
    last - first + 1 === 1 && last === input.shape.length - 2 ? input : reshapeNode(input, [...leading, summed, rest]);
  const ones = expandNode(graph.scalar(input.dtype, 1), [1, summed]);
  const product = emitOne(graph, { opType: "MatMul", inputs: [ones, flat] }, input.dtype, [...leading, 1, rest]);
  const kept = input.shape.map((dim, axis) => (first <= axis && axis <= last ? 1 : dim));
  return sameShape(product.shape, kept) ? product : reshapeNode(product, kept);
}

/** The size of several axes made one; `INFERRED_DIM` where it has no name. */
export function joinedDim(dims: Shape): Dim {
  const [only] = dims;
  if (dims.length === 1 && only !== undefined) {
    return only;
  }
  return dims.every((dim) => typeof dim === "number")
    ? dims.reduce<number>((product, dim) => product * Number(dim), 1)
    : INFERRED_DIM;
}

/** Reshape; one symbolic dimension becomes ONNX's -1, several are read from the inputs at run time. */
export function reshapeNode(input: Value, shape: Shape): Value {
  const graph = graphOf("reshape", input);
  const symbolic = shape.filter((dim) => typeof dim === "string").length;
  const vector =
    symbolic <= 1 ? graph.integers(shape.map((dim) => (typeof dim === "number" ? dim : -1))) : graph.shapeVector(shape);
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
  const flat = emitOne(graph, { opType: "Reshape", inputs: [source, graph.integers([-1])] }, source.dtype, [
    INFERRED_DIM,
  ]);
  const first = emitOne(graph, { opType: "Gather", inputs: [flat, graph.scalar("int64", 0)] }, source.dtype, []);
  const zero = emitOne(graph, { opType: "Sub", inputs: [first, first] }, source.dtype, []);
  const typed = emitOne(graph, { opType: "CastLike", inputs: [zero, graph.scalar(dtype, 0)] }, dtype, []);
  return expandNode(typed, shape);
}

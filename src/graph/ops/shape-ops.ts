import { CadreError } from "../../core/errors.js";
import { emitOne, graphOf, type Value } from "../graph.js";
import {
  broadcastShapes,
  type Dim,
  dimAt,
  formatShape,
  normalizeAxis,
  type Shape,
  sameShape,
  sizeAt,
} from "../shape.js";
import { expandNode, reshapeNode, sumTo, transposeNode } from "./primitives.js";

function product(shape: Shape): string {
  const fixed = shape.filter((dim) => typeof dim === "number").reduce((count, dim) => count * dim, 1);
  return [fixed, ...shape.filter((dim) => typeof dim === "string").sort()].join("*");
}

/** The same elements under another shape. @throws CadreError `invalid-argument` if the element counts differ. */
export function reshape(input: Value, shape: Shape): Value {
  if (sameShape(input.shape, shape)) {
    return input;
  }
  if (product(input.shape) !== product(shape)) {
    throw new CadreError(
      "invalid-argument",
      `reshape: expected as many elements as ${formatShape(input.shape)}, got ${formatShape(shape)}`,
    );
  }
  const output = reshapeNode(input, shape);
  output.graph.record({
    label: "reshape",
    inputs: [input],
    outputs: [output],
    backward: ([gradient]) => [gradient && reshapeNode(gradient, input.shape)],
  });
  return output;
}

/** Reorders the axes: output axis i is input axis `permutation[i]`. */
export function transpose(input: Value, permutation: readonly number[]): Value {
  const rank = input.shape.length;
  if (
    permutation.length !== rank ||
    new Set(permutation).size !== rank ||
    permutation.some((axis) => !(axis in input.shape))
  ) {
    throw new CadreError(
      "invalid-argument",
      `transpose: expected a permutation of the ${rank} axes of ${formatShape(input.shape)}, got [${permutation.join(", ")}]`,
    );
  }
  const output = transposeNode(input, permutation);
  const inverse = permutation.map((_, axis) => permutation.indexOf(axis));
  output.graph.record({
    label: "transpose",
    inputs: [input],
    outputs: [output],
    backward: ([gradient]) => [gradient && transposeNode(gradient, inverse)],
  });
  return output;
}

/** Repeats along axes of size 1 (or new leading axes) until the shape is reached. */
export function expand(input: Value, shape: Shape): Value {
  if (!sameShape(broadcastShapes(input.shape, shape, "expand"), shape)) {
    throw new CadreError(
      "invalid-argument",
      `expand: expected a shape to which ${formatShape(input.shape)} broadcasts, got ${formatShape(shape)}`,
    );
  }
  const output = expandNode(input, shape);
  if (output !== input) {
    output.graph.record({
      label: "expand",
      inputs: [input],
      outputs: [output],
      backward: ([gradient]) => [gradient && sumTo(gradient, input.shape)],
    });
  }
  return output;
}

/** Elements `start` (inclusive) to `end` (exclusive) along one axis, which needs a fixed size. */
export function slice(
  input: Value,
  options: { readonly axis: number; readonly start: number; readonly end: number },
): Value {
  const axis = normalizeAxis(options.axis, input.shape.length, "slice");
  const size = sizeAt(input.shape, axis, "slice");
  const { start, end } = options;
  if (!(Number.isInteger(start) && Number.isInteger(end) && 0 <= start && start < end && end <= size)) {
    throw new CadreError(
      "invalid-argument",
      `slice: expected 0 ≤ start < end ≤ ${size} at axis ${axis} of ${formatShape(input.shape)}, got ${start} and ${end}`,
    );
  }
  const graph = graphOf("slice", input);
  const output = emitOne(
    graph,
    {
      opType: "Slice",
      inputs: [input, graph.integers([start]), graph.integers([end]), graph.integers([axis])],
    },
    input.dtype,
    input.shape.map((dim, index): Dim => (index === axis ? end - start : dim)),
  );
  graph.record({
    label: "slice",
    inputs: [input],
    outputs: [output],
    backward: ([gradient]) => [gradient && padAxis(gradient, axis, start, size - end)],
  });
  return output;
}

/** Zeros before and after along one axis. */
function padAxis(input: Value, axis: number, before: number, after: number): Value {
  const graph = graphOf("pad", input);
  const size = sizeAt(input.shape, axis, "pad");
  return emitOne(
    graph,
    {
      opType: "Pad",
      inputs: [input, graph.integers([before, after]), graph.scalar(input.dtype, 0), graph.integers([axis])],
    },
    input.dtype,
    input.shape.map((dim, index): Dim => (index === axis ? before + size + after : dim)),
  );
}

/** Joins values along an axis, on which they need fixed sizes. */
export function concat(inputs: readonly Value[], axis: number): Value {
  const [first] = inputs;
  if (first === undefined) {
    throw new CadreError("invalid-argument", "concat: expected at least one value, got none");
  }
  const resolved = normalizeAxis(axis, first.shape.length, "concat");
  const without = (shape: Shape): Shape => shape.filter((_, index) => index !== resolved);
  for (const input of inputs) {
    if (input.dtype !== first.dtype || !sameShape(without(input.shape), without(first.shape))) {
      throw new CadreError(
        "invalid-argument",
        `concat: expected ${first.dtype} ${formatShape(first.shape)} except at axis ${resolved}, got ${input.dtype} ${formatShape(input.shape)}`,
      );
    }
  }
  const sizes = inputs.map((input) => sizeAt(input.shape, resolved, "concat"));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const output = emitOne(
    graphOf("concat", ...inputs),
    { opType: "Concat", inputs, attributes: { axis: { int: resolved } } },
    first.dtype,
    first.shape.map((dim, index): Dim => (index === resolved ? total : dim)),
  );
  output.graph.record({
    label: "concat",
    inputs,
    outputs: [output],
    backward: ([gradient]) => (gradient === undefined ? [] : splitNode(gradient, sizes, resolved)),
  });
  return output;
}

/** Cuts a value along an axis into parts of the given sizes, which add up to its size. */
export function split(input: Value, sizes: readonly number[], axis: number): Value[] {
  const resolved = normalizeAxis(axis, input.shape.length, "split");
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (dimAt(input.shape, resolved, "split") !== total) {
    throw new CadreError(
      "invalid-argument",
      `split: expected sizes that add up to axis ${resolved} of ${formatShape(input.shape)}, got [${sizes.join(", ")}]`,
    );
  }
  let start = 0;
  // One Slice a part: its rule gives the gradient of a part that is used while others are not.
  return sizes.map((size) => {
    const part = slice(input, { axis: resolved, start, end: start + size });
    start += size;
    return part;
  });
}

function splitNode(input: Value, sizes: readonly number[], axis: number): Value[] {
  const graph = graphOf("split", input);
  return graph.emit({
    opType: "Split",
    inputs: [input, graph.integers(sizes)],
    outputs: sizes.map((size) => ({
      dtype: input.dtype,
      shape: input.shape.map((dim, index): Dim => (index === axis ? size : dim)),
    })),
    attributes: { axis: { int: axis } },
  });
}

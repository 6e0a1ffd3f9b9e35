import { graphOf, type Value } from "../graph.js";
import { normalizeAxis, reducedShape, sizeAt } from "../shape.js";
import { add, cast, compare, div, exp, log, mul, sub } from "./elementwise.js";
import { expandNode, reduceNode, reduceSumNode, reshapeNode } from "./primitives.js";

/** Options of the reductions. */
export interface ReduceOptions {
  /** Keep reduced axes with size 1; default false. */
  readonly keepDims?: boolean;
}

function resolveAxes(op: string, input: Value, axes: readonly number[] | undefined): number[] {
  const resolved = axes ?? input.shape.map((_, axis) => axis);
  return resolved.map((axis) => normalizeAxis(axis, input.shape.length, op));
}

/** A gradient of the reduced shape, with the reduced axes put back as size 1. */
function withKeptAxes(gradient: Value, input: Value, axes: readonly number[]): Value {
  const kept = reducedShape(input.shape, axes, true);
  return gradient.shape.length === kept.length ? gradient : reshapeNode(gradient, kept);
}

/** Sum over `axes` (all by default). */
export function reduceSum(input: Value, axes?: readonly number[], options: ReduceOptions = {}): Value {
  const resolved = resolveAxes("reduceSum", input, axes);
  const output = reduceSumNode(input, resolved, options.keepDims ?? false);
  output.graph.record({
    label: "reduceSum",
    inputs: [input],
    outputs: [output],
    backward: ([gradient]) => [gradient && expandNode(withKeptAxes(gradient, input, resolved), input.shape)],
  });
  return output;
}

/** Mean over `axes` (all by default), which need fixed sizes. */
export function reduceMean(input: Value, axes?: readonly number[], options: ReduceOptions = {}): Value {
  const resolved = resolveAxes("reduceMean", input, axes);
  const count = resolved.reduce((product, axis) => product * sizeAt(input.shape, axis, "reduceMean"), 1);
  return mul(reduceSum(input, resolved, options), 1 / count);
}

/** Largest element over `axes` (all by default); the gradient is shared equally among equal maxima. */
export function reduceMax(input: Value, axes?: readonly number[], options: ReduceOptions = {}): Value {
  const resolved = resolveAxes("reduceMax", input, axes);
  const output = reduceNode("ReduceMax", input, resolved, options.keepDims ?? false);
  output.graph.record({
    label: "reduceMax",
    inputs: [input],
    outputs: [output],
    backward: ([gradient]) => {
      if (gradient === undefined) {
        return [];
      }
      const winners = cast(compare("Equal", input, withKeptAxes(output, input, resolved)), input.dtype);
      const share = div(withKeptAxes(gradient, input, resolved), reduceSumNode(winners, resolved, true));
      return [mul(winners, share)];
    },
  });
  return output;
}

/** Sum of squares over `axes` (all by default), in one pass over the input. */
export function reduceSumSquare(input: Value, axes?: readonly number[], options: ReduceOptions = {}): Value {
  const resolved = resolveAxes("reduceSumSquare", input, axes);
  const output = reduceNode("ReduceSumSquare", input, resolved, options.keepDims ?? false);
  output.graph.record({
    label: "reduceSumSquare",
    inputs: [input],
    outputs: [output],
    backward: ([gradient]) => [gradient && mul(input, mul(withKeptAxes(gradient, input, resolved), 2))],
  });
  return output;
}

/** `log Σ e^x` over `axes` (all by default), computed around the largest element so that it cannot overflow. */
export function reduceLogSumExp(input: Value, axes?: readonly number[], options: ReduceOptions = {}): Value {
  const resolved = resolveAxes("reduceLogSumExp", input, axes);
  const graph = graphOf("reduceLogSumExp", input);
  const output = graph.untaped(() => {
    const largest = reduceMax(input, resolved, { keepDims: true });
    const sum = add(log(reduceSum(exp(sub(input, largest)), resolved, { keepDims: true })), largest);
    return options.keepDims ? sum : reshapeNode(sum, reducedShape(input.shape, resolved, false));
  });
  graph.record({
    label: "reduceLogSumExp",
    inputs: [input],
    outputs: [output],
    backward: ([gradient]) => [
      gradient && mul(exp(sub(input, withKeptAxes(output, input, resolved))), withKeptAxes(gradient, input, resolved)),
    ],
  });
  return output;
}

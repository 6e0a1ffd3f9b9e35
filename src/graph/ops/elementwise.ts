import { type DType, isFloatDType } from "../../tensors/dtype.js";
import { emitOne, expectDType, graphOf, type Value } from "../graph.js";
import { onnxDataType } from "../onnx-types.js";
import { broadcastShapes } from "../shape.js";
import { type Operand, operands, sumTo } from "./primitives.js";

export type { Operand } from "./primitives.js";

type BinaryRule = (
  gradient: Value,
  left: Value,
  right: Value,
  output: Value,
  needed: readonly boolean[],
) => readonly (Value | undefined)[];

function binary(opType: string, left: Operand, right: Operand, rule: BinaryRule): Value {
  const op = opType.toLowerCase();
  const [a, b] = operands(op, left, right);
  const output = emitOne(graphOf(op, a, b), { opType, inputs: [a, b] }, a.dtype, broadcastShapes(a.shape, b.shape, op));
  output.graph.record({
    label: op,
    inputs: [a, b],
    outputs: [output],
    backward: ([gradient], needed) => {
      if (gradient === undefined) {
        return [];
      }
      const [first, second] = rule(gradient, a, b, output, needed);
      return [
        first !== undefined && needed[0] ? sumTo(first, a.shape) : undefined,
        second !== undefined && needed[1] ? sumTo(second, b.shape) : undefined,
      ];
    },
  });
  return output;
}

/** `left + right`, broadcasting. */
export function add(left: Operand, right: Operand): Value {
  return binary("Add", left, right, (gradient) => [gradient, gradient]);
}

/** `left - right`, broadcasting. */
export function sub(left: Operand, right: Operand): Value {
  return binary("Sub", left, right, (gradient, _a, _b, _y, needed) => [
    gradient,
    needed[1] ? neg(gradient) : undefined,
  ]);
}

/** `left * right`, broadcasting. */
export function mul(left: Operand, right: Operand): Value {
  return binary("Mul", left, right, (gradient, a, b, _y, needed) => [
    needed[0] ? mul(gradient, b) : undefined,
    needed[1] ? mul(gradient, a) : undefined,
  ]);
}

/** `left / right`, broadcasting. */
export function div(left: Operand, right: Operand): Value {
  return binary("Div", left, right, (gradient, _a, b, output, needed) => {
    const first = div(gradient, b);
    return [first, needed[1] ? neg(mul(first, output)) : undefined];
  });
}

/** The larger of both, broadcasting. Where both are equal, the gradient goes to `left`. */
export function maximum(left: Operand, right: Operand): Value {
  return selectBinary("Max", left, right, (a, b) => compare("GreaterOrEqual", a, b));
}

/** The smaller of both, broadcasting. Where both are equal, the gradient goes to `left`. */
export function minimum(left: Operand, right: Operand): Value {
  return selectBinary("Min", left, right, (a, b) => compare("LessOrEqual", a, b));
}

function selectBinary(opType: string, left: Operand, right: Operand, leftWins: (a: Value, b: Value) => Value): Value {
  return binary(opType, left, right, (gradient, a, b) => {
    const condition = leftWins(a, b);
    return [where(condition, gradient, 0), where(condition, 0, gradient)];
  });
}

type UnaryRule = (gradient: Value, input: Value, output: Value) => Value;

function unary(opType: string, input: Value, rule: UnaryRule): Value {
  const output = emitOne(graphOf(opType, input), { opType, inputs: [input] }, input.dtype, input.shape);
  output.graph.record({
    label: opType.toLowerCase(),
    inputs: [input],
    outputs: [output],
    backward: ([gradient]) => [gradient === undefined ? undefined : rule(gradient, input, output)],
  });
  return output;
}

/** `-x`. */
export function neg(input: Value): Value {
  return unary("Neg", input, (gradient) => neg(gradient));
}

/** `e^x`. */
export function exp(input: Value): Value {
  return unary("Exp", input, (gradient, _x, output) => mul(gradient, output));
}

/** Natural logarithm. */
export function log(input: Value): Value {
  return unary("Log", input, (gradient, x) => div(gradient, x));
}

/** Square root. */
export function sqrt(input: Value): Value {
  return unary("Sqrt", input, (gradient, _x, output) => mul(div(gradient, output), 0.5));
}

/** `1 / x`. */
export function reciprocal(input: Value): Value {
  return unary("Reciprocal", input, (gradient, _x, output) => neg(mul(gradient, mul(output, output))));
}

/** `x²`. */
export function square(input: Value): Value {
  return mul(input, input);
}

/** Hyperbolic tangent. */
export function tanh(input: Value): Value {
  return unary("Tanh", input, (gradient, _x, output) => mul(gradient, sub(1, mul(output, output))));
}

/** `1 / (1 + e^-x)`. */
export function sigmoid(input: Value): Value {
  return unary("Sigmoid", input, (gradient, _x, output) => mul(gradient, mul(output, sub(1, output))));
}

/** Gauss error function. */
export function erf(input: Value): Value {
  return unary("Erf", input, (gradient, x) => mul(gradient, mul(exp(neg(mul(x, x))), 2 / Math.sqrt(Math.PI))));
}

/** `x^exponent` for a constant exponent. */
export function power(input: Value, exponent: number): Value {
  const graph = graphOf("power", input);
  const output = emitOne(
    graph,
    { opType: "Pow", inputs: [input, graph.scalar(input.dtype, exponent)] },
    input.dtype,
    input.shape,
  );
  graph.record({
    label: "power",
    inputs: [input],
    outputs: [output],
    backward: ([gradient]) => [gradient && mul(gradient, mul(power(input, exponent - 1), exponent))],
  });
  return output;
}

/** `condition ? left : right` element by element, broadcasting. */
export function where(condition: Value, left: Operand, right: Operand): Value {
  expectDType("where", "a condition", condition, "bool");
  const [a, b] = operands("where", left, right);
  const shape = broadcastShapes(broadcastShapes(condition.shape, a.shape, "where"), b.shape, "where");
  const output = emitOne(
    graphOf("where", condition, a, b),
    { opType: "Where", inputs: [condition, a, b] },
    a.dtype,
    shape,
  );
  output.graph.record({
    label: "where",
    inputs: [a, b],
    outputs: [output],
    backward: ([gradient], needed) => [
      gradient && needed[0] ? sumTo(where(condition, gradient, 0), a.shape) : undefined,
      gradient && needed[1] ? sumTo(where(condition, 0, gradient), b.shape) : undefined,
    ],
  });
  return output;
}

/** ONNX's comparisons. */
export type Comparison = "Equal" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual";

/** Compares element by element, broadcasting; the result is bool and carries no gradient. */
export function compare(comparison: Comparison, left: Operand, right: Operand): Value {
  const [a, b] = operands(comparison, left, right);
  return emitOne(
    graphOf(comparison, a, b),
    { opType: comparison, inputs: [a, b] },
    "bool",
    broadcastShapes(a.shape, b.shape, comparison),
  );
}

/** Logical connection of bool values, broadcasting. */
export function logical(connective: "And" | "Or" | "Xor", left: Value, right: Value): Value {
  expectDType(connective, "the left side", left, "bool");
  expectDType(connective, "the right side", right, "bool");
  const shape = broadcastShapes(left.shape, right.shape, connective);
  return emitOne(graphOf(connective, left, right), { opType: connective, inputs: [left, right] }, "bool", shape);
}

/** Converts to another dtype; the gradient is converted back. */
export function cast(input: Value, dtype: DType): Value {
  if (input.dtype === dtype) {
    return input;
  }
  const graph = graphOf("cast", input);
  const output = emitOne(
    graph,
    { opType: "Cast", inputs: [input], attributes: { to: { int: onnxDataType(dtype) } } },
    dtype,
    input.shape,
  );
  if (isFloatDType(dtype) && isFloatDType(input.dtype)) {
    graph.record({
      label: "cast",
      inputs: [input],
      outputs: [output],
      backward: ([gradient]) => [gradient && cast(gradient, input.dtype)],
    });
  }
  return output;
}

import { emitOne, graphOf, type Value } from "../graph.js";
import { normalizeAxis } from "../shape.js";
import { exp, mul, sub } from "./elementwise.js";
import { reduceSumNode } from "./primitives.js";

function emitSoftmax(opType: "Softmax" | "LogSoftmax", input: Value, axis: number): Value {
  return emitOne(
    graphOf(opType, input),
    { opType, inputs: [input], attributes: { axis: { int: axis } } },
    input.dtype,
    input.shape,
  );
}

/** `e^x / Σ e^x` along an axis (the last by default). */
export function softmax(input: Value, axis = -1): Value {
  const resolved = normalizeAxis(axis, input.shape.length, "softmax");
  const output = emitSoftmax("Softmax", input, resolved);
  output.graph.record({
    label: "softmax",
    inputs: [input],
    outputs: [output],
    backward: ([gradient]) => [
      gradient && mul(output, sub(gradient, reduceSumNode(mul(gradient, output), [resolved], true))),
    ],
  });
  return output;
}

/** `x - log Σ e^x` along an axis (the last by default). */
export function logSoftmax(input: Value, axis = -1): Value {
  const resolved = normalizeAxis(axis, input.shape.length, "logSoftmax");
  const output = emitSoftmax("LogSoftmax", input, resolved);
  output.graph.record({
    label: "logSoftmax",
    inputs: [input],
    outputs: [output],
    backward: ([gradient]) => [gradient && sub(gradient, mul(exp(output), reduceSumNode(gradient, [resolved], true)))],
  });
  return output;
}

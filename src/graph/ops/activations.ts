import { emitOne, graphOf, type Value } from "../graph.js";
import { add, cast, compare, erf, exp, mul, sigmoid, sub } from "./elementwise.js";

/** Registers a rule for an operation whose inside is not differentiated. */
function withRule(
  label: string,
  input: Value,
  forward: () => Value,
  rule: (gradient: Value, output: Value) => Value,
): Value {
  const output = graphOf(label, input).untaped(forward);
  output.graph.record({
    label,
    inputs: [input],
    outputs: [output],
    backward: ([gradient]) => [gradient && rule(gradient, output)],
  });
  return output;
}

/** `max(x, 0)`; the derivative at 0 is 0, as in PyTorch. */
export function relu(input: Value): Value {
  return withRule(
    "relu",
    input,
    () => emitOne(graphOf("relu", input), { opType: "Relu", inputs: [input] }, input.dtype, input.shape),
    (gradient) => mul(gradient, cast(compare("Greater", input, 0), input.dtype)),
  );
}

/** √(2/π) of the tanh form. */
const SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI);
/** The cubic term's factor in the tanh form. */
const CUBIC = 0.044715;

/**
 * Gaussian error linear unit in its tanh form (Hendrycks & Gimpel 2016; `gelu_new` in transformers), which T5 1.1 uses:
 * `x · σ(2u)` with `u = √(2/π) (x + 0.044715 x³)`, since `(1 + tanh u) / 2 = σ(2u)`.
 */
export function geluTanh(input: Value): Value {
  // ONNX Runtime's FastGelu is the tanh form in one pass. The gate is computed again for the backward pass rather than kept: it would
  // cost five passes forward anyway, and memory of the layer's size.
  return withRule(
    "geluTanh",
    input,
    () =>
      input.dtype === "float32"
        ? emitOne(
            graphOf("geluTanh", input),
            { opType: "FastGelu", domain: "com.microsoft", inputs: [input] },
            input.dtype,
            input.shape,
          )
        : mul(input, tanhGate(input, mul(input, input))),
    (gradient, output) => {
      // y' = σ + x σ (1 - σ) (2u)' = σ (1 + (x - y) (2u)')  with  (2u)' = 2 √(2/π) (1 + 3 · 0.044715 x²)
      const squared = mul(input, input);
      const gate = tanhGate(input, squared);
      const slope = add(mul(squared, 6 * SQRT_2_OVER_PI * CUBIC), 2 * SQRT_2_OVER_PI);
      return mul(gradient, mul(gate, add(mul(sub(input, output), slope), 1)));
    },
  );
}

/** `σ(2u)` with `u = √(2/π) (x + 0.044715 x³)`. */
function tanhGate(input: Value, squared: Value): Value {
  return sigmoid(mul(input, add(mul(squared, 2 * SQRT_2_OVER_PI * CUBIC), 2 * SQRT_2_OVER_PI)));
}

/** Gaussian error linear unit in its exact form: `x · Φ(x)`. */
export function geluErf(input: Value): Value {
  const cumulative = (): Value => mul(add(erf(mul(input, Math.SQRT1_2)), 1), 0.5);
  return withRule(
    "geluErf",
    input,
    () => mul(input, cumulative()),
    (gradient) => {
      const density = mul(exp(mul(mul(input, input), -0.5)), 1 / Math.sqrt(2 * Math.PI));
      return mul(gradient, add(cumulative(), mul(input, density)));
    },
  );
}

/** `x · σ(x)`. */
export function silu(input: Value): Value {
  return mul(input, sigmoid(input));
}

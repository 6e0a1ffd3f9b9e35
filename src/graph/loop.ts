import { CadreError } from "../core/errors.js";
import { emitOne, expectDType, expectShape, Graph, graphOf, type Value } from "./graph.js";
import type { Dim } from "./shape.js";

/** What `loop` needs. */
export interface LoopOptions {
  /** The graph that the loop becomes part of. */
  readonly graph: Graph;
  /** How often the body runs, at least 1; at most, where it says `goOn`. */
  readonly steps: number;
  /** Values that the body receives and replaces at each step. */
  readonly carried: readonly Value[];
  /** Values `[steps, ...]`; at step i the body receives their row i. */
  readonly sequences: readonly Value[];
  /**
   * Builds one step. It may also use any value of the surrounding graphs. No gradient flows through the loop itself: `gradients` of what
   * depends on a parameter through a loop throws `unsupported`; inside the body it works, and `stopGradient` cuts the dependence.
   */
  readonly body: (step: LoopStep) => LoopResult;
}

/** What the body of a loop receives. */
export interface LoopStep {
  readonly graph: Graph;
  /** The step's number from 0, an int64 scalar. */
  readonly index: Value;
  readonly carried: readonly Value[];
  readonly sequences: readonly Value[];
}

/** What the body of a loop returns. */
export interface LoopResult {
  /** As many as came in, with the same dtypes and shapes. */
  readonly carried: readonly Value[];
  /** Values of which the loop returns all steps' rows, `[steps, ...]`; none where the body says `goOn`. */
  readonly collected: readonly Value[];
  /** Whether another step follows, a bool scalar; by default one does. */
  readonly goOn?: Value;
}

/** Runs a body several times inside the graph (ONNX Loop): training steps without a way back to JavaScript between them. */
export function loop(options: LoopOptions): { readonly carried: Value[]; readonly collected: Value[] } {
  const { graph, steps, carried, sequences } = options;
  if (!Number.isInteger(steps) || steps < 1) {
    throw new CadreError("invalid-argument", `loop: expected at least 1 step, got ${steps}`);
  }
  graphOf("loop", graph.scalar("int64", steps), ...carried, ...sequences);
  const body = new Graph(graph);
  const index = body.input(body.uniqueName("index"), "int64", []);
  body.input(body.uniqueName("condition"), "bool", []);
  const received = carried.map((value) => body.input(body.uniqueName("carried"), value.dtype, value.shape));
  const rows = sequences.map((sequence) => {
    if (sequence.shape[0] !== steps) {
      throw new CadreError(
        "invalid-argument",
        `loop: expected sequences of ${steps} rows, got ${sequence.shape[0] ?? "a scalar"}`,
      );
    }
    return emitOne(
      body,
      { opType: "Gather", inputs: [sequence, index], attributes: { axis: { int: 0 } } },
      sequence.dtype,
      sequence.shape.slice(1),
    );
  });
  const result = options.body({ graph: body, index, carried: received, sequences: rows });
  if (result.carried.length !== carried.length) {
    throw new CadreError(
      "invalid-argument",
      `loop: expected ${carried.length} carried values back, got ${result.carried.length}`,
    );
  }
  if (result.goOn !== undefined) {
    expectDType("loop", "goOn", result.goOn, "bool");
    expectShape("loop", "goOn", result.goOn, []);
    if (result.collected.length > 0) {
      throw new CadreError(
        "invalid-argument",
        `loop: expected nothing collected where the body says goOn, got ${result.collected.length} values; how many rows there are would not be known`,
      );
    }
  }
  body.output(body.uniqueName("condition"), result.goOn ?? body.scalar("bool", 1));
  carried.forEach((before, position) => {
    const after = result.carried[position];
    if (after !== undefined) {
      expectDType("loop", `carried value ${position}`, after, before.dtype);
      expectShape("loop", `carried value ${position}`, after, before.shape);
      body.output(body.uniqueName("next"), after);
    }
  });
  for (const value of result.collected) {
    body.output(body.uniqueName("collected"), value);
  }
  const outputs = graph.emit({
    opType: "Loop",
    inputs: [graph.scalar("int64", steps), graph.scalar("bool", 1), ...carried],
    outputs: [
      ...carried.map(({ dtype, shape }) => ({ dtype, shape })),
      ...result.collected.map(({ dtype, shape }) => ({ dtype, shape: [steps as Dim, ...shape] })),
    ],
    attributes: { body: { graph: body } },
  });
  graph.record({
    label: "loop",
    inputs: [...carried, ...sequences, ...outerValues(body, result)],
    outputs,
    backward: () => {
      throw new CadreError(
        "unsupported",
        "gradients: expected no loop between the scalar and its parameters, got one; differentiate inside its body, or put stopGradient around what goes in or comes out",
      );
    },
  });
  return { carried: outputs.slice(0, carried.length), collected: outputs.slice(carried.length) };
}

/** Values of surrounding graphs that the body computes with or returns. */
function outerValues(body: Graph, { carried, collected }: LoopResult): Value[] {
  const used = [...body.tape.flatMap(({ inputs }) => inputs), ...carried, ...collected];
  return used.filter((value) => value.graph !== body && value.graph.contains(body));
}

import { at } from "../core/at.js";
import { Graph, type Value } from "../graph/graph.js";

/** What `stoppableLoop` needs. */
export interface StoppableLoopOptions {
  /** The graph that the loop becomes part of. */
  readonly graph: Graph;
  /** How often the body runs at most, at least 1. */
  readonly steps: number;
  /** Values that the body receives and replaces at each step. */
  readonly carried: readonly Value[];
  /** Builds a step, given its number from 0 (an int64 scalar) and the carried values; it may use values of the graphs around it. */
  readonly body: (
    index: Value,
    carried: readonly Value[],
  ) => {
    /** As many as came in, with the same dtypes and shapes. */
    readonly carried: readonly Value[];
    /** Whether another step follows, a bool scalar. */
    readonly goOn: Value;
  };
}

/** A loop inside the graph (ONNX Loop) that ends when its body says so: `loop` of `src/graph` runs all of its steps. Returns the carried values. */
export function stoppableLoop({ graph, steps, carried, body }: StoppableLoopOptions): Value[] {
  const inner = new Graph(graph);
  const index = inner.input(inner.uniqueName("index"), "int64", []);
  inner.input(inner.uniqueName("condition"), "bool", []);
  const received = carried.map(({ dtype, shape }) => inner.input(inner.uniqueName("carried"), dtype, shape));
  const { carried: next, goOn } = body(index, received);
  inner.output(inner.uniqueName("condition"), goOn);
  for (const position of carried.keys()) {
    inner.output(inner.uniqueName("next"), at(next, position));
  }
  return graph.emit({
    opType: "Loop",
    inputs: [graph.scalar("int64", steps), graph.scalar("bool", 1), ...carried],
    outputs: carried.map(({ dtype, shape }) => ({ dtype, shape })),
    attributes: { body: { graph: inner } },
  });
}

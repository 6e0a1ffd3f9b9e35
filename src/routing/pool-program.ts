import { Graph, type Value } from "../graph/graph.js";
import { matmul } from "../graph/ops/matmul.js";
import { reshape } from "../graph/ops/shape-ops.js";
import { serializeGraph } from "../graph/serialize.js";
import { sizeAt } from "../graph/shape.js";
import type { InputEncoder } from "../models/model.js";
import type { BatchShape } from "../models/packed-batch.js";
import type { ParameterSpec } from "../models/parameter.js";
import { type FrozenWeights, frozenParameters } from "../training/weights.js";

/** The input that says how much each token counts, `[rows, 1, inputLength]`. */
export const POOL_WEIGHTS = "poolWeights";
/** The output, `[rows, width]`. */
export const POOLED = "pooled";

/** A graph that encodes texts and pools their states. */
export interface PoolProgram {
  readonly bytes: Uint8Array;
  /** Parameters that it reads: of an encoder-decoder, the encoder's. */
  readonly used: readonly ParameterSpec[];
  readonly width: number;
}

/** Builds the states of the input positions, summed up by weight in every row. */
export function buildPoolProgram({
  encoder,
  frozen,
  shape,
}: {
  readonly encoder: InputEncoder;
  readonly frozen: FrozenWeights;
  readonly shape: BatchShape;
}): PoolProgram {
  const graph = new Graph();
  const batch = Object.fromEntries(
    encoder.batchInputs(shape).map((input) => [input.name, graph.input(input.name, input.dtype, input.shape)]),
  );
  const weights = graph.input(POOL_WEIGHTS, "float32", [shape.rows, 1, shape.inputLength]);
  const specs = new Map(encoder.parameters.map((spec) => [spec.name, spec]));
  const values = new Map<string, Value>();
  const used: ParameterSpec[] = [];
  const parameter = (name: string): Value => {
    const known = values.get(name);
    if (known !== undefined) return known;
    const spec = specs.get(name);
    const value = spec && frozenParameters(graph, [spec], frozen).get(name);
    if (spec === undefined || value === undefined) {
      throw new TypeError(`${encoder.kind}: asked for a parameter ${name} that it does not list`);
    }
    values.set(name, value);
    used.push(spec);
    return value;
  };
  const states = encoder.inputStates({ graph, parameter }, batch);
  const width = sizeAt(states.shape, -1, "pool");
  const pooled = matmul(weights, reshape(states, [shape.rows, shape.inputLength, width]));
  graph.output(POOLED, reshape(pooled, [shape.rows, width]));
  return { bytes: serializeGraph(graph), used, width };
}

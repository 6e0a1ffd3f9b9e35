import { CadreError } from "../core/errors.js";
import { Graph, type Value } from "../graph/graph.js";
import { serializeGraph } from "../graph/serialize.js";
import type { Delta } from "../models/delta.js";
import type { Model } from "../models/model.js";
import type { BatchShape } from "../models/packed-batch.js";
import { tokenLogProbabilities } from "../training/losses.js";
import { type FrozenWeights, frozenParameters } from "../training/weights.js";

/** What a scoring program is made of. */
export interface ScoreProgramOptions {
  readonly model: Model;
  /** Its tensors are inputs of the program. */
  readonly delta: Delta | undefined;
  /** Where those parameters of the model are that the delta does not replace. */
  readonly frozen: FrozenWeights;
  readonly shape: BatchShape;
}

/** The output of a scoring program. */
export const LOG_PROBABILITIES = "logProbabilities";

/**
 * Builds a forward pass: the batch inputs of model and delta and `targetIds` to `logProbabilities`, `[rows, targetLength]` each. Slots have the names
 * that a training's have, so that the program runs on the state of a training.
 */
export function buildScoreProgram({ model, delta, frozen, shape }: ScoreProgramOptions): Uint8Array {
  const graph = new Graph();
  const batch = Object.fromEntries(
    [...model.batchInputs(shape), ...(delta?.batchInputs?.(shape) ?? [])].map((input) => [
      input.name,
      graph.input(input.name, input.dtype, input.shape),
    ]),
  );
  const targetIds = graph.input("targetIds", "int32", [shape.rows, shape.targetLength]);
  const added = new Map(
    (delta?.parameters ?? []).map(({ name, shape: size }) => [name, graph.input(name, "float32", size)]),
  );
  const kept = frozenParameters(
    graph,
    model.parameters.filter(({ name }) => !added.has(name)),
    frozen,
  );
  const tensor = (name: string): Value => {
    const value = added.get(name) ?? kept.get(name);
    if (value === undefined) {
      throw new CadreError("internal", `scoring: nothing provides ${name}`);
    }
    return value;
  };
  const hooks = delta?.hooks(tensor, batch);
  const states = model.forward({ graph, parameter: tensor, ...(hooks === undefined ? {} : { hooks }) }, batch);
  graph.output(LOG_PROBABILITIES, tokenLogProbabilities(states, targetIds));
  return serializeGraph(graph);
}

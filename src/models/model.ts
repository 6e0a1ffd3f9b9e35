import type { Value } from "../graph/graph.js";
import type { Tensor } from "../tensors/tensor.js";
import type { BatchInput, BuildContext, TargetStates } from "./build-context.js";
import type { Decoding } from "./decoding.js";
import type { HookPoints } from "./hooks.js";
import type { BatchShape, PackedBatch } from "./packed-batch.js";
import type { ParameterSpec } from "./parameter.js";

export type { BatchInput, BuildContext, DropoutOptions, TargetStates } from "./build-context.js";

/** Multiply-adds of one forward pass; the FLOP rules of DESIGN.md are computed from it. */
export interface ForwardCost {
  /** Products with a weight that is a parameter: each costs as much again for its input's and for its weight's gradient. */
  readonly weightMultiplyAdds: number;
  /** Products of two activations (attention): twice as much again backwards. */
  readonly activationMultiplyAdds: number;
}

/** A language model: pure functions from values to values. Whether it has an encoder is its own affair. */
export interface Model {
  /** Architecture name, e.g. `t5`. */
  readonly kind: string;
  readonly vocabularySize: number;
  readonly padId: number;
  /** Id that ends a target. */
  readonly endId: number;
  readonly parameters: readonly ParameterSpec[];
  /** The graph inputs for a batch of this shape. */
  readonly batchInputs: (shape: BatchShape) => BatchInput[];
  /** The feeds of those inputs. */
  readonly feeds: (batch: PackedBatch) => Record<string, Tensor>;
  /** Adds the forward pass to a graph; `batch` holds a value for each of `batchInputs`. */
  readonly forward: (context: BuildContext, batch: Readonly<Record<string, Value>>) => TargetStates;
  /**
   * The states of the input positions, `[rows · inputLength, width]`, of a model that can tell them without a target: what texts are embedded
   * with. Uses of `batch` what concerns the input, and of the parameters those that it asks for. Absent: the model has no such states.
   */
  readonly inputStates?: (context: BuildContext, batch: Readonly<Record<string, Value>>) => Value;
  /** What deltas can address. */
  readonly hookPoints: HookPoints;
  readonly forwardCost: (shape: BatchShape) => ForwardCost;
  /** How it makes text token by token. Absent: it only scores. */
  readonly decoding?: Decoding;
}

/** What texts are embedded with: a `Model` that has `inputStates`, or an encoder that is no language model (BERT). */
export interface InputEncoder extends Pick<Model, "kind" | "padId" | "parameters" | "batchInputs" | "feeds"> {
  readonly inputStates: NonNullable<Model["inputStates"]>;
  /** Most tokens that it has positions for; absent: no limit. */
  readonly mostInputTokens?: number;
}

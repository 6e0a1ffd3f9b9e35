import type { Value } from "../../graph/graph.js";

/** What an optimizer keeps for a parameter. */
export interface OptimizerStateSpec {
  /** e.g. `row`; unique within the parameter. */
  readonly name: string;
  readonly shape: readonly number[];
}

/** One parameter's update as graph values; every number is float32. */
export interface OptimizerUpdate {
  readonly parameter: Value;
  /** Gradient of the summed loss, of the parameter's shape. */
  readonly gradient: Value;
  /** Scalar that turns it into the gradient to use: 1 / tokens, times the clipping factor. It is folded into small vectors where possible. */
  readonly gradientScale: Value;
  /** Scalar. */
  readonly learningRate: Value;
  /** Scalar, 1 at the first step. */
  readonly step: Value;
  /** Whether weight decay applies to this parameter. */
  readonly decayed: boolean;
  /** The state, as `stateOf` lists it. */
  readonly state: Readonly<Record<string, Value>>;
}

/** An optimizer as pure graph functions; all state starts at zero. */
export interface Optimizer {
  readonly name: string;
  readonly stateOf: (shape: readonly number[]) => OptimizerStateSpec[];
  readonly update: (update: OptimizerUpdate) => {
    readonly parameter: Value;
    readonly state: Readonly<Record<string, Value>>;
  };
}

import type { Graph, Value } from "../graph/graph.js";
import type { RandomKey } from "../graph/random.js";
import type { DType } from "../tensors/dtype.js";
import type { Hooks } from "./hooks.js";

/** An input of a model's graph. */
export interface BatchInput {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** Dropout as a model's graph applies it; absent outside training. */
export interface DropoutOptions {
  /** Probability of a zero, in [0, 1). */
  readonly rate: number;
  readonly key: RandomKey;
  /**
   * `length`: one mask for all positions of a row, as in T5X (default; cheap). `none`: one for each element, as in transformers
   * (about 50 ms a layer at 8×512 tokens).
   */
  readonly broadcast?: "length" | "none";
}

/** What a model's graph is built from. */
export interface BuildContext {
  readonly graph: Graph;
  /** The value of a parameter. */
  readonly parameter: (name: string) => Value;
  readonly hooks?: Hooks;
  readonly dropout?: DropoutOptions | undefined;
  /** Keep only the blocks' inputs for the backward pass and compute what lies inside again: `recomputed` around every block. Default false. */
  readonly recompute?: boolean;
}

/** What a model says about the target positions of a batch; the losses take it from there. */
export interface TargetStates {
  /** States that predict the targets, `[rows · targetLength, d]`. */
  readonly hidden: Value;
  /** Output projection `[vocabulary, d]`: logits are `hidden · headᵀ`. */
  readonly head: Value;
}

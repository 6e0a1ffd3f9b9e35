import type { Value } from "../graph/graph.js";
import type { Hooks } from "./hooks.js";
import type { ParameterSpec } from "./parameter.js";

/** What training adds to a frozen model: tensors of its own and the hooks that apply them. Delta kinds make these. */
export interface Delta {
  /** Kind, e.g. `lora`. */
  readonly kind: string;
  /**
   * The delta's tensors, all of them trained. One that has the name of a model's parameter stands in its place and starts with its value.
   */
  readonly parameters: readonly ParameterSpec[];
  /** The hooks, given the values of those tensors. */
  readonly hooks: (tensor: (name: string) => Value) => Hooks;
}

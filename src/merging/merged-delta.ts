import type { DeltaConfig } from "../experts/delta-config.js";
import type { Tensor } from "../tensors/tensor.js";

/** One delta made of several. */
export interface MergedDelta {
  /** Undefined where all weights were trained. */
  readonly delta: DeltaConfig | undefined;
  readonly tensors: ReadonlyMap<string, Tensor<"float32">>;
}

import type { Model } from "../models/model.js";
import type { BatchShape } from "../models/packed-batch.js";

/**
 * Floating-point operations of a training step, padding included: 2 a multiply-add; forward, gradients of activations, and gradients of
 * weights where the model itself is trained. What a delta adds is not counted, nor is recomputation.
 */
export function flopsPerStep(options: {
  readonly model: Model;
  readonly shape: BatchShape;
  readonly accumulate: number;
  /** Only a delta is trained. */
  readonly frozen: boolean;
}): number {
  const { weightMultiplyAdds, activationMultiplyAdds } = options.model.forwardCost(options.shape);
  const once = weightMultiplyAdds * (options.frozen ? 2 : 3) + activationMultiplyAdds * 3;
  return 2 * once * options.accumulate;
}

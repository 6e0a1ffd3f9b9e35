import { CadreError } from "../core/errors.js";
import type { RunResult } from "../runtime/device.js";
import { hasDType } from "../tensors/tensor.js";

/** The int32 numbers of an output. */
export function integersOf({ outputs }: RunResult, name: string): Int32Array {
  const tensor = outputs[name];
  if (tensor === undefined || !hasDType(tensor, "int32")) {
    throw new CadreError("internal", `decoding: no int32 output ${name}`);
  }
  return tensor.data;
}

/** The float32 numbers of an output. */
export function floatsOf({ outputs }: RunResult, name: string): Float32Array {
  const tensor = outputs[name];
  if (tensor === undefined || !hasDType(tensor, "float32")) {
    throw new CadreError("internal", `decoding: no float32 output ${name}`);
  }
  return tensor.data;
}

/** The log-probabilities of a row's tokens. @throws CadreError `non-finite` where one is not finite. */
export function finite<Numbers extends Float32Array | readonly number[]>(
  logProbabilities: Numbers,
  row: number,
): Numbers {
  if (!logProbabilities.every(Number.isFinite)) {
    throw new CadreError("non-finite", `generate: row ${row}: expected finite log-probabilities; check the weights`);
  }
  return logProbabilities;
}

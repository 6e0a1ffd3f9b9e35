import { layOutRows } from "../experts/rows.js";
import type { DecodingShape, DecodingStart } from "../models/decoding.js";
import type { Tensor } from "../tensors/tensor.js";
import { NO_TARGET } from "./check-call.js";
import { packShape } from "./decode-program.js";
import type { DecodingEngine } from "./decoding-engine.js";
import type { AnsweredRow } from "./generation.js";

/** Rows as the programs of a batch are fed them. */
export interface LaidOutBatch {
  readonly start: DecodingStart;
  /** Of the delta's batch inputs: which experts answer which row. */
  readonly chosen: Readonly<Record<string, Tensor>>;
}

/** Lays rows out in order; places of the shape that are left over are padding. @throws CadreError `not-found` for an unknown expert. */
export function layOutBatch(
  { model, decoding, delta }: DecodingEngine,
  rows: readonly AnsweredRow[],
  shape: DecodingShape,
): LaidOutBatch {
  const packed = layOutRows(
    rows.map(({ input, experts = [] }) => [{ example: { input, targets: [NO_TARGET], correct: 0 }, experts }]),
    packShape(shape),
    model.padId,
  );
  return { start: decoding.start(packed), chosen: delta?.feeds?.(packed) ?? {} };
}

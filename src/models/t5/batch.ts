import type { Tensor } from "../../tensors/tensor.js";
import type { BatchInput } from "../model.js";
import type { BatchShape, PackedBatch } from "../packed-batch.js";
import type { T5Config } from "./config.js";

/** The integer inputs of a T5 graph. */
export function t5BatchInputs({ rows, inputLength, targetLength }: BatchShape): BatchInput[] {
  const input = (name: string, length: number): BatchInput => ({ name, dtype: "int32", shape: [rows, length] });
  return [
    input("inputIds", inputLength),
    input("inputSegments", inputLength),
    input("decoderIds", targetLength),
    input("targetSegments", targetLength),
    input("targetSequences", targetLength),
  ];
}

/** A packed batch as a T5 takes it: the decoder reads each target sequence shifted right by its start token. */
export function t5Feeds(batch: PackedBatch, config: T5Config): Record<string, Tensor> {
  const { rows, inputLength, targetLength } = batch.shape;
  const targets = (data: Int32Array): Tensor => ({ dtype: "int32", shape: [rows, targetLength], data });
  const inputs = (data: Int32Array): Tensor => ({ dtype: "int32", shape: [rows, inputLength], data });
  return {
    inputIds: inputs(batch.inputIds),
    inputSegments: inputs(batch.inputSegments),
    decoderIds: targets(shiftRight(batch, config)),
    targetSegments: targets(batch.targetSegments),
    targetSequences: targets(batch.targetSequences),
  };
}

function shiftRight(batch: PackedBatch, { decoderStartId, padId }: T5Config): Int32Array {
  const { targetIds, targetSequences, shape } = batch;
  return targetIds.map((_, position) => {
    if (targetSequences[position] === 0) {
      return padId;
    }
    const starts = position % shape.targetLength === 0 || targetSequences[position] !== targetSequences[position - 1];
    return starts ? decoderStartId : (targetIds[position - 1] ?? padId);
  });
}

import type { Value } from "../../graph/graph.js";
import { attentionBias } from "../../graph/ops/attention.js";
import { compare, logical } from "../../graph/ops/elementwise.js";
import { gatherRows } from "../../graph/ops/gather.js";
import { concat, reshape, slice } from "../../graph/ops/shape-ops.js";
import { sizeAt } from "../../graph/shape.js";
import type { BuildContext, Model, TargetStates } from "../model.js";
import { t5BatchInputs, t5Feeds } from "./batch.js";
import {
  attend,
  type Builder,
  blockOf,
  createBuilder,
  embedIds,
  encode,
  equalPairs,
  feedForward,
  finish,
  maskOf,
  positionBias,
  predict,
} from "./blocks.js";
import type { T5Config } from "./config.js";
import { t5ForwardCost } from "./cost.js";
import { t5Decoding } from "./decoding.js";
import { EMBEDDING, t5HookPoints, t5Parameters } from "./parameters.js";

/** The T5 encoder-decoder, 1.0 and 1.1 (Raffel et al. 2020; transformers `T5ForConditionalGeneration`). */
export function createT5(config: T5Config): Model {
  return {
    kind: "t5",
    vocabularySize: config.vocabularySize,
    padId: config.padId,
    endId: config.endId,
    parameters: t5Parameters(config),
    hookPoints: t5HookPoints(config),
    batchInputs: t5BatchInputs,
    feeds: (batch) => t5Feeds(batch, config),
    forward: (context, batch) => forward(config, context, batch),
    inputStates: (context, batch) => inputStates(config, context, batch),
    forwardCost: (shape) => t5ForwardCost(config, shape),
    decoding: t5Decoding(config),
  };
}

function forward(config: T5Config, context: BuildContext, batch: Readonly<Record<string, Value>>): TargetStates {
  const build = createBuilder(config, context);
  const { parameter } = context;
  const { inputIds, inputSegments, decoderIds, targetSegments, targetSequences } = batch;
  if (!inputIds || !inputSegments || !decoderIds || !targetSegments || !targetSequences) {
    throw new TypeError("t5: the batch lacks one of the inputs that batchInputs names");
  }
  const [inputEmbeddings, decoderEmbeddings] = embed(parameter(EMBEDDING), inputIds, decoderIds, config.width);
  const memory = encode(build, { ids: inputIds, embeddings: inputEmbeddings, segments: inputSegments });

  const length = sizeAt(decoderIds.shape, 1, "t5");
  const visible = logical("And", equalPairs(targetSequences, targetSequences), causal(build, length));
  const decoderBias = attentionBias(positionBias(build, "decoder", decoderIds), maskOf(visible));
  const crossBias = attentionBias(undefined, maskOf(equalPairs(targetSegments, inputSegments)));
  let states = build.dropout.apply(decoderEmbeddings, 1);
  for (let block = 0; block < config.decoderLayers; block++) {
    const place = { stack: "decoder", block, input: states, segments: targetSegments } as const;
    states = blockOf(build, place, (subLayer, normalized) => {
      switch (subLayer.kind) {
        case "self-attention":
          return attend(build, subLayer, normalized, normalized, decoderBias);
        case "cross-attention":
          return attend(build, subLayer, normalized, memory, crossBias);
        case "feed-forward":
          return feedForward(build, subLayer, normalized);
      }
    });
  }
  const finished = finish(build, "decoder", { input: states, segments: targetSegments }).input;
  // [rows, targetLength, d] → [rows · targetLength, d]
  return predict(build, reshape(finished, [sizeAt(decoderIds.shape, 0, "t5") * length, config.width]));
}

function inputStates(config: T5Config, context: BuildContext, batch: Readonly<Record<string, Value>>): Value {
  const build = createBuilder(config, context);
  const { inputIds, inputSegments } = batch;
  if (!inputIds || !inputSegments) {
    throw new TypeError("t5: the batch lacks inputIds or inputSegments");
  }
  const { input } = encode(build, {
    ids: inputIds,
    embeddings: embedIds(build, inputIds),
    segments: inputSegments,
  });
  return reshape(input, [sizeAt(inputIds.shape, 0, "t5") * sizeAt(inputIds.shape, 1, "t5"), config.width]);
}

/** Looks up both stacks' ids at once, so that the embedding's gradient is one scatter. */
function embed(table: Value, inputIds: Value, decoderIds: Value, width: number): [Value, Value] {
  const [rows, inputLength] = [sizeAt(inputIds.shape, 0, "t5"), sizeAt(inputIds.shape, 1, "t5")];
  const targetLength = sizeAt(decoderIds.shape, 1, "t5");
  const inputs = rows * inputLength;
  const targets = rows * targetLength;
  // [rows · (inputLength + targetLength), d]
  const both = gatherRows(table, concat([reshape(inputIds, [inputs]), reshape(decoderIds, [targets])], 0));
  return [
    reshape(slice(both, { axis: 0, start: 0, end: inputs }), [rows, inputLength, width]),
    reshape(slice(both, { axis: 0, start: inputs, end: inputs + targets }), [rows, targetLength, width]),
  ];
}

/** `[1, 1, length, length]`: whether the key lies at or before the query. */
function causal(build: Builder, length: number): Value {
  const positions = build.context.graph.constant({
    dtype: "int32",
    shape: [length],
    data: Int32Array.from({ length }, (_, position) => position),
  });
  return compare("LessOrEqual", reshape(positions, [1, 1, 1, length]), reshape(positions, [1, 1, length, 1]));
}

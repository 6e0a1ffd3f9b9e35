import { at } from "../../core/at.js";
import type { Value } from "../../graph/graph.js";
import { attention, attentionBias } from "../../graph/ops/attention.js";
import { add } from "../../graph/ops/elementwise.js";
import { gatherRows } from "../../graph/ops/gather.js";
import { reshape, transpose } from "../../graph/ops/shape-ops.js";
import { sizeAt } from "../../graph/shape.js";
import type { BatchInput, BuildContext, TargetStates } from "../build-context.js";
import type { CacheWindow } from "../cached-attention.js";
import type { Decoding, DecodingShape, DecodingStep, Prefill, StepSurroundings } from "../decoding.js";
import {
  type Builder,
  blockOf,
  createBuilder,
  embedIds,
  encode,
  equalPairs,
  feedForward,
  finish,
  joinHeads,
  maskOf,
  predict,
  splitHeads,
} from "./blocks.js";
import type { T5Config } from "./config.js";
import { attentionPath, relativeBiasName, subLayersOf } from "./parameters.js";
import { relativePositionBuckets } from "./relative-position.js";

/** The memory that says which of the encoder's positions are no padding. */
const INPUT_MASK = "inputMask";

/**
 * T5's decoding: the prefill encodes the inputs and projects them to the keys and values of every cross-attention; the steps run the
 * decoder.
 */
export function t5Decoding(config: T5Config): Decoding {
  const { heads, headWidth } = config;
  return {
    caches: decoderAttentions(config, "self-attention").map((name) => ({ name, heads, headWidth })),
    pastLength: () => 0,
    memory: (shape) => memoryOf(config, shape),
    inputs: ({ rows, inputLength }) =>
      ["inputIds", "inputSegments"].map((name): BatchInput => ({ name, dtype: "int32", shape: [rows, inputLength] })),
    start: ({ shape: { rows, inputLength }, inputIds, inputSegments }) => ({
      feeds: {
        inputIds: { dtype: "int32", shape: [rows, inputLength], data: inputIds },
        inputSegments: { dtype: "int32", shape: [rows, inputLength], data: inputSegments },
      },
      ids: new Int32Array(rows).fill(config.decoderStartId),
      pastLengths: new Int32Array(rows),
    }),
    prefill: (context, batch) => prefill(config, context, batch),
    steps: (context, surroundings) => steps(config, context, surroundings),
  };
}

/** The paths of a kind of the decoder's attentions, by block. */
function decoderAttentions(config: T5Config, kind: "self-attention" | "cross-attention"): string[] {
  return Array.from({ length: config.decoderLayers }, (_, block) =>
    subLayersOf("decoder", block, config.width).filter((subLayer) => subLayer.kind === kind),
  ).flatMap((subLayers) => subLayers.map(attentionPath));
}

function keysName(attentionName: string): string {
  return `${attentionName}.keys`;
}

function valuesName(attentionName: string): string {
  return `${attentionName}.values`;
}

function memoryOf(config: T5Config, { rows, inputLength }: DecodingShape): BatchInput[] {
  const projected = (name: string): BatchInput => ({
    name,
    dtype: "float32",
    shape: [rows, config.heads, inputLength, config.headWidth],
  });
  return [
    { name: INPUT_MASK, dtype: "float32", shape: [rows, 1, 1, inputLength] },
    ...decoderAttentions(config, "cross-attention").flatMap((name) => [
      projected(keysName(name)),
      projected(valuesName(name)),
    ]),
  ];
}

function prefill(config: T5Config, context: BuildContext, batch: Readonly<Record<string, Value>>): Prefill {
  const build = createBuilder(config, context);
  const { inputIds, inputSegments } = batch;
  if (!inputIds || !inputSegments) {
    throw new TypeError("t5: the batch lacks one of the inputs of a prefill");
  }
  const encoded = encode(build, {
    ids: inputIds,
    embeddings: embedIds(build, inputIds),
    segments: inputSegments,
  });
  const memory: Record<string, Value> = {
    [INPUT_MASK]: maskOf(equalPairs(decodedSegments(context, sizeAt(inputIds.shape, 0, "t5")), inputSegments)),
  };
  for (const name of decoderAttentions(config, "cross-attention")) {
    memory[keysName(name)] = splitHeads(build, build.linear(`${name}.k.weight`, encoded));
    memory[valuesName(name)] = splitHeads(build, build.linear(`${name}.v.weight`, encoded));
  }
  return { memory, past: {} };
}

/** `[rows, 1]`: every row holds one example, which a step's token belongs to. */
function decodedSegments({ graph }: BuildContext, rows: number): Value {
  return graph.constant({ dtype: "int32", shape: [rows, 1], data: new Int32Array(rows).fill(1) });
}

function steps(
  config: T5Config,
  context: BuildContext,
  { shape, window, memory }: StepSurroundings,
): (step: DecodingStep) => TargetStates {
  const build = createBuilder(config, context);
  const segments = decodedSegments(context, shape.rows);
  const positions = positionBiases(build, window);
  const recalled = (name: string): Value => {
    const found = memory[name];
    if (found === undefined) {
      throw new TypeError(`t5: the memory lacks ${name}, which the prefill makes`);
    }
    return found;
  };
  const inputBias = attentionBias(undefined, recalled(INPUT_MASK));
  return (step) => {
    // [heads, 1, past + recent] + [1 or rows, 1, 1, past + recent]
    const bias = add(gatherRows(positions, step.index), step.mask);
    let states = embedIds(build, reshape(step.ids, [shape.rows, 1]));
    for (let block = 0; block < config.decoderLayers; block++) {
      const place = { stack: "decoder", block, input: states, segments } as const;
      states = blockOf(build, place, (subLayer, normalized) => {
        if (subLayer.kind === "feed-forward") {
          return feedForward(build, subLayer, normalized);
        }
        const path = attentionPath(subLayer);
        const project = (part: "q" | "k" | "v"): Value =>
          splitHeads(build, build.linear(`${path}.${part}.weight`, normalized));
        const found =
          subLayer.kind === "self-attention"
            ? step.attend(path, { query: project("q"), key: project("k"), value: project("v") }, { bias })
            : attention(project("q"), recalled(keysName(path)), recalled(valuesName(path)), { bias: inputBias });
        return build.linear(`${path}.o.weight`, { input: joinHeads(found), segments });
      });
    }
    const finished = finish(build, "decoder", { input: states, segments }).input;
    return predict(build, reshape(finished, [shape.rows, config.width]));
  };
}

/**
 * The decoder's relative position biases of a run's steps, `[recent, heads, 1, past + recent]`: entry `past - 1` lies one before the first
 * step, whatever the tokens' positions are.
 */
function positionBiases({ config, context, parameter }: Builder, { past, recent }: CacheWindow): Value {
  const entries = past + recent;
  const byDistance = relativePositionBuckets({
    queries: entries,
    keys: 1,
    buckets: config.relativeBuckets,
    maxDistance: config.relativeMaxDistance,
    bidirectional: false,
  });
  const data = Int32Array.from({ length: recent * entries }, (_, index) => {
    const [step, entry] = [Math.floor(index / entries), index % entries];
    // What lies behind the step is masked.
    return at(byDistance, Math.max(0, past + step - entry));
  });
  const buckets = context.graph.constant({ dtype: "int32", shape: [recent * entries], data });
  const byPair = gatherRows(parameter(relativeBiasName("decoder")), buckets);
  // [recent · entries, heads] → [recent, heads, 1, entries]
  return reshape(transpose(reshape(byPair, [recent, entries, config.heads]), [0, 2, 1]), [
    recent,
    config.heads,
    1,
    entries,
  ]);
}

import type { Value } from "../src/graph/graph.js";
import { relu } from "../src/graph/ops/activations.js";
import { attention, attentionBias } from "../src/graph/ops/attention.js";
import { add, compare, logical, where } from "../src/graph/ops/elementwise.js";
import { gatherRows } from "../src/graph/ops/gather.js";
import { matmul } from "../src/graph/ops/matmul.js";
import { rmsNorm } from "../src/graph/ops/normalization.js";
import { concat, reshape, slice, transpose } from "../src/graph/ops/shape-ops.js";
import { recomputed } from "../src/graph/recompute.js";
import { createDropout } from "../src/models/dropout.js";
import type { SubLayer, SubLayerKind } from "../src/models/hooks.js";
import type { BatchInput, BuildContext, Model, TargetStates } from "../src/models/model.js";
import type { BatchShape, PackedBatch } from "../src/models/packed-batch.js";
import type { ParameterSpec } from "../src/models/parameter.js";
import type { Tensor } from "../src/tensors/tensor.js";

/** Shape of a toy decoder. */
export interface ToyDecoderConfig {
  readonly vocabularySize: number;
  readonly width: number;
  readonly heads: number;
  readonly layers: number;
  /** Positions that it has embeddings for: input and target of an example together. */
  readonly positions: number;
}

const PAD = 0;
const END = 1;
/** Stands between an input and its target: what the first target token is predicted from. */
const SEPARATOR = 2;
const EPSILON = 1e-6;
const MASKED = -1e9;

/**
 * A decoder-only language model, for tests: inputs and targets lie in one sequence `[inputs | targets]`, told apart by segment masks.
 * Everything behind `models/` has to work with it as with a T5.
 */
export function createToyDecoder(config: ToyDecoderConfig): Model {
  const { width, vocabularySize } = config;
  const parameters = parametersOf(config);
  return {
    kind: "toy-decoder",
    vocabularySize,
    padId: PAD,
    endId: END,
    parameters,
    hookPoints: {
      linears: parameters.flatMap(({ name, shape: [outputs, inputs] }) =>
        name.startsWith("layers.") && outputs !== undefined && inputs !== undefined ? [{ name, outputs, inputs }] : [],
      ),
      subLayers: subLayersOf(config),
      embeddings: [],
      norms: parameters.filter(({ shape }) => shape.length === 1),
    },
    batchInputs,
    feeds,
    forward: (context, batch) => forward(config, context, batch),
    forwardCost: ({ rows, inputLength, targetLength }) => {
      const length = inputLength + targetLength;
      return {
        weightMultiplyAdds: rows * (length * config.layers * 8 * width ** 2 + targetLength * width * vocabularySize),
        activationMultiplyAdds: 2 * rows * config.layers * length ** 2 * width,
      };
    },
  };
}

function subLayersOf({ layers, width }: ToyDecoderConfig): SubLayer[] {
  const kinds: SubLayerKind[] = ["self-attention", "feed-forward"];
  return Array.from({ length: layers }, (_, layer) =>
    kinds.map((kind) => ({ path: `layers.${layer}.${kind}`, kind, width })),
  ).flat();
}

function parametersOf(config: ToyDecoderConfig): ParameterSpec[] {
  const { vocabularySize, width, positions } = config;
  const normal = (name: string, shape: readonly number[], standardDeviation: number): ParameterSpec => ({
    name,
    shape,
    initializer: { kind: "normal", standardDeviation },
  });
  const norm = (name: string): ParameterSpec => ({ name, shape: [width], initializer: { kind: "ones" } });
  return [
    normal("embedding.weight", [vocabularySize, width], 1),
    normal("positions.weight", [positions, width], 0.5),
    ...subLayersOf(config).flatMap(({ path, kind }) => [
      norm(`${path}.norm.weight`),
      ...(kind === "feed-forward"
        ? [
            normal(`${path}.wi.weight`, [2 * width, width], width ** -0.5),
            normal(`${path}.wo.weight`, [width, 2 * width], (2 * width) ** -0.5),
          ]
        : ["q", "k", "v", "o"].map((name) => normal(`${path}.${name}.weight`, [width, width], width ** -0.5))),
    ]),
    norm("norm.weight"),
    normal("head.weight", [vocabularySize, width], width ** -0.5),
  ];
}

function batchInputs({ rows, inputLength, targetLength }: BatchShape): BatchInput[] {
  const input = (name: string, length: number): BatchInput => ({ name, dtype: "int32", shape: [rows, length] });
  return [
    input("inputIds", inputLength),
    input("shiftedIds", targetLength),
    ...["places", "segments", "sequences"].map((name) => input(name, inputLength + targetLength)),
  ];
}

/**
 * Ids of inputs and of targets, which are shifted right by a separator, as a token is predicted where the one before it lies; and of
 * `[inputs | targets]` the positions within the example, the examples, and the target sequences (0: part of the input).
 */
function feeds(batch: PackedBatch): Record<string, Tensor> {
  const { rows, inputLength, targetLength } = batch.shape;
  const length = inputLength + targetLength;
  const shiftedIds = new Int32Array(rows * targetLength).fill(PAD);
  const places = new Int32Array(rows * length);
  const segments = new Int32Array(rows * length);
  const sequences = new Int32Array(rows * length);
  for (let row = 0; row < rows; row++) {
    const lengths = new Map<number, number>();
    for (let position = 0; position < inputLength; position++) {
      const from = row * inputLength + position;
      const to = row * length + position;
      const segment = batch.inputSegments[from] ?? 0;
      segments[to] = segment;
      places[to] = segment === 0 ? 0 : (lengths.get(segment) ?? 0);
      lengths.set(segment, (lengths.get(segment) ?? 0) + 1);
    }
    let offset = 0;
    for (let position = 0; position < targetLength; position++) {
      const from = row * targetLength + position;
      const to = row * length + inputLength + position;
      const sequence = batch.targetSequences[from] ?? 0;
      if (sequence === 0) {
        continue;
      }
      const starts = position === 0 || batch.targetSequences[from - 1] !== sequence;
      offset = starts ? 0 : offset + 1;
      shiftedIds[from] = starts ? SEPARATOR : (batch.targetIds[from - 1] ?? PAD);
      segments[to] = batch.targetSegments[from] ?? 0;
      sequences[to] = sequence;
      places[to] = (lengths.get(segments[to] ?? 0) ?? 0) + offset;
    }
  }
  const tensor = (data: Int32Array): Tensor => ({ dtype: "int32", shape: [rows, data.length / rows], data });
  return {
    inputIds: tensor(batch.inputIds),
    shiftedIds: tensor(shiftedIds),
    places: tensor(places),
    segments: tensor(segments),
    sequences: tensor(sequences),
  };
}

function forward(
  config: ToyDecoderConfig,
  { graph, parameter, hooks, dropout: dropoutOptions, recompute = false }: BuildContext,
  batch: Readonly<Record<string, Value>>,
): TargetStates {
  const { width, heads } = config;
  const { inputIds, shiftedIds, places, segments, sequences } = batch;
  if (!inputIds || !shiftedIds || !places || !segments || !sequences) {
    throw new TypeError("toy decoder: the batch lacks one of its inputs");
  }
  const ids = concat([inputIds, shiftedIds], 1);
  const [rows = 0, length = 0] = ids.shape.map(Number);
  const targetLength = Number(shiftedIds.shape[1]);
  const dropout = createDropout(dropoutOptions);
  const linear = (name: string, input: Value): Value => {
    const weight = parameter(name);
    const output = matmul(input, weight, { transposeB: true });
    return hooks?.linear?.({ name, input, weight, output, segments }) ?? output;
  };
  const ones = (): Value => graph.constant({ dtype: "float32", shape: [width], data: new Float32Array(width).fill(1) });
  const norm = (name: string, input: Value): Value => {
    const weight = parameter(name);
    const output = rmsNorm(input, weight, EPSILON);
    const unweighted = (): Value => rmsNorm(input, ones(), EPSILON);
    return hooks?.norm?.({ name, weight, output, segments, unweighted }) ?? output;
  };
  const lookUp = (table: string, indices: Value): Value =>
    reshape(gatherRows(parameter(table), reshape(indices, [rows * length])), [rows, length, width]);

  // A position sees what lies before it in its own example: the input, and of the targets its own sequence.
  const keys = (value: Value): Value => reshape(value, [rows, 1, 1, length]);
  const queries = (value: Value): Value => reshape(value, [rows, 1, length, 1]);
  const order = graph.constant({ dtype: "int32", shape: [length], data: Int32Array.from({ length }, (_, at) => at) });
  const causal = compare("LessOrEqual", reshape(order, [1, 1, 1, length]), reshape(order, [1, 1, length, 1]));
  const sameExample = compare("Equal", queries(segments), keys(segments));
  const ofInput = compare("Equal", keys(sequences), graph.scalar("int32", 0));
  const sameSequence = compare("Equal", queries(sequences), keys(sequences));
  const visible = logical("And", logical("And", sameExample, causal), logical("Or", ofInput, sameSequence));
  const mask = where(visible, graph.scalar("float32", 0), graph.scalar("float32", MASKED));
  const bias = attentionBias(undefined, mask);

  const split = (value: Value): Value => transpose(reshape(value, [rows, length, heads, width / heads]), [0, 2, 1, 3]);
  let states = dropout.apply(add(lookUp("embedding.weight", ids), lookUp("positions.weight", places)), 1);
  const residual = (input: Value, subLayer: SubLayer): Value => {
    const { path, kind } = subLayer;
    const normalized = norm(`${path}.norm.weight`, input);
    let output: Value;
    if (kind === "feed-forward") {
      output = linear(`${path}.wo.weight`, relu(linear(`${path}.wi.weight`, normalized)));
    } else {
      const [query, key, value] = [
        split(linear(`${path}.q.weight`, normalized)),
        split(linear(`${path}.k.weight`, normalized)),
        split(linear(`${path}.v.weight`, normalized)),
      ];
      const attended = attention(query, key, value, { bias, scale: (width / heads) ** -0.5 });
      output = linear(`${path}.o.weight`, reshape(transpose(attended, [0, 2, 1, 3]), [rows, length, width]));
    }
    return add(input, dropout.apply(hooks?.afterSubLayer?.(subLayer, output, segments) ?? output, 1));
  };
  for (const subLayer of subLayersOf(config)) {
    const input = states;
    states = recompute ? recomputed(graph, () => residual(input, subLayer)) : residual(input, subLayer);
  }
  const finished = norm("norm.weight", states);
  const targets = slice(finished, { axis: 1, start: length - targetLength, end: length });
  return { hidden: reshape(targets, [rows * targetLength, width]), head: parameter("head.weight") };
}

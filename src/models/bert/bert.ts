import type { Value } from "../../graph/graph.js";
import { geluErf, geluTanh, relu, silu } from "../../graph/ops/activations.js";
import { type AttentionBias, attention, attentionBias } from "../../graph/ops/attention.js";
import { add, compare, where } from "../../graph/ops/elementwise.js";
import { gatherRows } from "../../graph/ops/gather.js";
import { matmul } from "../../graph/ops/matmul.js";
import { layerNorm } from "../../graph/ops/normalization.js";
import { reshape, slice, transpose } from "../../graph/ops/shape-ops.js";
import { sizeAt } from "../../graph/shape.js";
import type { Tensor } from "../../tensors/tensor.js";
import type { BatchInput, BuildContext, InputEncoder } from "../model.js";
import type { BatchShape, PackedBatch } from "../packed-batch.js";
import type { BertConfig } from "./config.js";
import { bertParameters, layerPath } from "./parameters.js";

/** Added to scores that must not count: far below any score, far above float32's smallest number. */
const MASKED = -1e9;

const activations = { relu, "gelu-tanh": geluTanh, "gelu-erf": geluErf, silu } as const;

/**
 * The BERT encoder (Devlin et al. 2019; transformers `BertModel` without pooler), of which MiniLM is a small one: what texts are embedded with.
 * It is not trained here and has no hooks.
 */
export function createBert(config: BertConfig): InputEncoder {
  return {
    kind: "bert",
    padId: config.padId,
    parameters: bertParameters(config),
    mostInputTokens: config.positions,
    batchInputs,
    feeds,
    inputStates: (context, batch) => inputStates(config, context, batch),
  };
}

function batchInputs({ rows, inputLength }: BatchShape): BatchInput[] {
  return ["inputIds", "inputSegments", "inputPositions"].map((name) => ({
    name,
    dtype: "int32",
    shape: [rows, inputLength],
  }));
}

/** Positions count from 0 in every segment. */
function feeds({ shape: { rows, inputLength }, inputIds, inputSegments }: PackedBatch): Record<string, Tensor> {
  const positions = new Int32Array(rows * inputLength);
  inputSegments.forEach((segment, place) => {
    const starts = place % inputLength === 0 || segment !== inputSegments[place - 1];
    positions[place] = starts || segment === 0 ? 0 : (positions[place - 1] ?? 0) + 1;
  });
  const tensor = (data: Int32Array): Tensor => ({ dtype: "int32", shape: [rows, inputLength], data });
  return { inputIds: tensor(inputIds), inputSegments: tensor(inputSegments), inputPositions: tensor(positions) };
}

function inputStates(config: BertConfig, context: BuildContext, batch: Readonly<Record<string, Value>>): Value {
  const { parameter, graph } = context;
  const { inputIds, inputSegments, inputPositions } = batch;
  if (!inputIds || !inputSegments || !inputPositions) {
    throw new TypeError("bert: the batch lacks one of the inputs that batchInputs names");
  }
  const { width, heads, normEpsilon } = config;
  const [rows, length] = [sizeAt(inputIds.shape, 0, "bert"), sizeAt(inputIds.shape, 1, "bert")];
  // States are [rows · length, width] all through.
  const lookUp = (table: string, indices: Value): Value =>
    gatherRows(parameter(`embeddings.${table}.weight`), reshape(indices, [rows * length]));
  const linear = (path: string, input: Value): Value =>
    add(matmul(input, parameter(`${path}.weight`), { transposeB: true }), parameter(`${path}.bias`));
  const norm = (path: string, input: Value): Value =>
    layerNorm(input, parameter(`${path}.weight`), parameter(`${path}.bias`), normEpsilon);

  const firstType = slice(parameter("embeddings.token_type_embeddings.weight"), { axis: 0, start: 0, end: 1 });
  const words = add(lookUp("word_embeddings", inputIds), lookUp("position_embeddings", inputPositions));
  let states = norm("embeddings.LayerNorm", add(words, firstType));

  const same = compare(
    "Equal",
    reshape(inputSegments, [rows, 1, length, 1]),
    reshape(inputSegments, [rows, 1, 1, length]),
  );
  const bias = attentionBias(undefined, where(same, graph.scalar("float32", 0), graph.scalar("float32", MASKED)));
  const size = { rows, length, heads, headWidth: width / heads };
  for (let layer = 0; layer < config.layers; layer++) {
    const path = layerPath(layer);
    const projected = (name: string): Value => linear(`${path}.attention.self.${name}`, states);
    const attended = attend([projected("query"), projected("key"), projected("value")], bias, size);
    const residual = add(linear(`${path}.attention.output.dense`, attended), states);
    states = norm(`${path}.attention.output.LayerNorm`, residual);
    const hidden = activations[config.activation](linear(`${path}.intermediate.dense`, states));
    states = norm(`${path}.output.LayerNorm`, add(linear(`${path}.output.dense`, hidden), states));
  }
  return states;
}

/** Attention of every head, over `[rows · length, width]`. */
function attend(
  [query, key, value]: readonly [Value, Value, Value],
  bias: AttentionBias,
  size: { readonly rows: number; readonly length: number; readonly heads: number; readonly headWidth: number },
): Value {
  const { rows, length, heads, headWidth } = size;
  const split = (states: Value): Value => transpose(reshape(states, [rows, length, heads, headWidth]), [0, 2, 1, 3]);
  const attended = attention(split(query), split(key), split(value), { bias, scale: headWidth ** -0.5 });
  return reshape(transpose(attended, [0, 2, 1, 3]), [rows * length, heads * headWidth]);
}

import { at } from "../../src/core/at.js";
import type { Value } from "../../src/graph/graph.js";
import { relu } from "../../src/graph/ops/activations.js";
import { attention, attentionBias } from "../../src/graph/ops/attention.js";
import { add, compare, logical, where } from "../../src/graph/ops/elementwise.js";
import { gatherRows } from "../../src/graph/ops/gather.js";
import { matmul } from "../../src/graph/ops/matmul.js";
import { rmsNorm } from "../../src/graph/ops/normalization.js";
import { reshape, transpose } from "../../src/graph/ops/shape-ops.js";
import type { BatchInput, BuildContext } from "../../src/models/build-context.js";
import type { Decoding, KeysAndValues } from "../../src/models/decoding.js";
import type { Tensor } from "../../src/tensors/tensor.js";
import type { ToyDecoderConfig } from "../toy-decoder.js";

const SEPARATOR = 2;
const EPSILON = 1e-6;
const MASKED = -1e9;

type AttendStep = (layer: number, parts: { query: Value; key: Value; value: Value }) => Value;

/** Decoding of the toy decoder, written apart from its forward pass: inputs go into the caches, flush right, and there is no memory. */
export function toyDecoding(config: ToyDecoderConfig): Decoding {
  const { heads, width, layers } = config;
  const scale = (width / heads) ** -0.5;
  const attentionOf = (layer: number): string => `layers.${layer}.self-attention`;
  const inputNames = ["inputIds", "places", "segments"];

  /** Ids and places `[rows, length]` through all layers; segments as the hooks take them. */
  const run = (
    { parameter, hooks }: BuildContext,
    { ids, places, segments }: { readonly ids: Value; readonly places: Value; readonly segments: Value },
    attend: AttendStep,
  ): Value => {
    const [rows, length] = [at(ids.shape.map(Number), 0), at(ids.shape.map(Number), 1)];
    const linear = (name: string, input: Value): Value => {
      const weight = parameter(name);
      const output = matmul(input, weight, { transposeB: true });
      return hooks?.linear?.({ name, input, weight, output, segments }) ?? output;
    };
    const split = (value: Value): Value =>
      transpose(reshape(value, [rows, length, heads, width / heads]), [0, 2, 1, 3]);
    let states = add(gatherRows(parameter("embedding.weight"), ids), gatherRows(parameter("positions.weight"), places));
    for (let layer = 0; layer < layers; layer++) {
      const path = attentionOf(layer);
      const input = rmsNorm(states, parameter(`${path}.norm.weight`), EPSILON);
      const [query, key, value] = ["q", "k", "v"].map((part) => split(linear(`${path}.${part}.weight`, input)));
      if (!query || !key || !value) {
        throw new Error("expected three projections");
      }
      const found = transpose(attend(layer, { query, key, value }), [0, 2, 1, 3]);
      states = add(states, linear(`${path}.o.weight`, reshape(found, [rows, length, width])));
      const forward = `layers.${layer}.feed-forward`;
      const normalized = rmsNorm(states, parameter(`${forward}.norm.weight`), EPSILON);
      states = add(states, linear(`${forward}.wo.weight`, relu(linear(`${forward}.wi.weight`, normalized))));
    }
    return rmsNorm(states, parameter("norm.weight"), EPSILON);
  };

  return {
    caches: Array.from({ length: layers }, (_, layer) => ({
      name: attentionOf(layer),
      heads,
      headWidth: width / heads,
    })),
    pastLength: ({ inputLength }) => inputLength,
    memory: () => [],
    inputs: ({ rows, inputLength }) =>
      inputNames.map((name): BatchInput => ({ name, dtype: "int32", shape: [rows, inputLength] })),
    start: ({ shape: { rows, inputLength }, inputIds, inputSegments }) => {
      const data = inputNames.map(() => new Int32Array(rows * inputLength));
      const pastLengths = new Int32Array(rows);
      for (let row = 0; row < rows; row++) {
        const begin = row * inputLength;
        const count = inputSegments.subarray(begin, begin + inputLength).filter((segment) => segment === 1).length;
        pastLengths[row] = count;
        for (let place = 0; place < count; place++) {
          const to = begin + inputLength - count + place;
          [at(inputIds, begin + place), place, 1].forEach((value, which) => {
            at(data, which)[to] = value;
          });
        }
      }
      const feeds = inputNames.map((name, which): [string, Tensor] => [
        name,
        { dtype: "int32", shape: [rows, inputLength], data: at(data, which) },
      ]);
      return { feeds: Object.fromEntries(feeds), ids: new Int32Array(rows).fill(SEPARATOR), pastLengths };
    },
    prefill: (context, { inputIds, places, segments }) => {
      if (!inputIds || !places || !segments) {
        throw new Error("expected the inputs of a prefill");
      }
      const [rows, length] = [at(inputIds.shape.map(Number), 0), at(inputIds.shape.map(Number), 1)];
      const order = context.graph.constant({
        dtype: "int32",
        shape: [length],
        data: Int32Array.from({ length }, (_, place) => place),
      });
      const before = compare("LessOrEqual", reshape(order, [1, 1, 1, length]), reshape(order, [1, 1, length, 1]));
      const same = compare("Equal", reshape(segments, [rows, 1, length, 1]), reshape(segments, [rows, 1, 1, length]));
      const zero = context.graph.scalar("float32", 0);
      const mask = where(logical("And", before, same), zero, context.graph.scalar("float32", MASKED));
      const past: Record<string, KeysAndValues> = {};
      run(context, { ids: inputIds, places, segments }, (layer, { query, key, value }) => {
        past[attentionOf(layer)] = { keys: key, values: value };
        return attention(query, key, value, { bias: attentionBias(undefined, mask), scale });
      });
      return { memory: {}, past };
    },
    steps: (context, { shape: { rows }, pastLengths }) => {
      const segments = context.graph.constant({ dtype: "int32", shape: [rows, 1], data: new Int32Array(rows).fill(1) });
      return ({ ids, index, mask, attend }) => {
        const places = reshape(add(pastLengths, index), [rows, 1]);
        const hidden = run(context, { ids: reshape(ids, [rows, 1]), places, segments }, (layer, parts) =>
          attend(attentionOf(layer), parts, { bias: mask, scale }),
        );
        return { hidden: reshape(hidden, [rows, width]), head: context.parameter("head.weight") };
      };
    },
  };
}

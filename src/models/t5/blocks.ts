import type { Graph, Value } from "../../graph/graph.js";
import { geluErf, geluTanh, relu, silu } from "../../graph/ops/activations.js";
import { type AttentionBias, attention, attentionBias } from "../../graph/ops/attention.js";
import { add, compare, mul, where } from "../../graph/ops/elementwise.js";
import { gatherRows } from "../../graph/ops/gather.js";
import { matmul } from "../../graph/ops/matmul.js";
import { rmsNorm } from "../../graph/ops/normalization.js";
import { reshape, transpose } from "../../graph/ops/shape-ops.js";
import { recomputed } from "../../graph/recompute.js";
import { sizeAt } from "../../graph/shape.js";
import { createDropout, type Dropout } from "../dropout.js";
import type { SubLayer } from "../hooks.js";
import type { BuildContext, TargetStates } from "../model.js";
import type { T5Config } from "./config.js";
import {
  attentionPath,
  EMBEDDING,
  feedForwardPath,
  INPUT_EMBEDDING,
  OUTPUT_PROJECTION,
  relativeBiasName,
  type Stack,
  subLayersOf,
} from "./parameters.js";
import { relativePositionBuckets } from "./relative-position.js";

/** Added to scores that must not count: far below any score, far above float32's smallest number. */
const MASKED = -1e9;

/** What every block needs. */
export interface Builder {
  readonly config: T5Config;
  readonly context: BuildContext;
  readonly dropout: Dropout;
  readonly parameter: (name: string) => Value;
  /** `input · weightᵀ`, through its hook. */
  readonly linear: (name: string, states: States) => Value;
  /** Root-mean-square normalisation, through its hook. */
  readonly norm: (name: string, states: States) => Value;
}

/** States of positions. */
export interface States {
  /** `[rows, length, width]` */
  readonly input: Value;
  /** `[rows, length]`: the example of each position. */
  readonly segments: Value;
}

/** The parts that every graph of a T5 is made of. */
export function createBuilder(config: T5Config, context: BuildContext): Builder {
  const { parameter } = context;
  const linear = (name: string, { input, segments }: States): Value => {
    const weight = parameter(name);
    const output = matmul(input, weight, { transposeB: true });
    return context.hooks?.linear?.({ name, input, weight, output, segments }) ?? output;
  };
  const norm = (name: string, { input, segments }: States): Value => {
    const weight = parameter(name);
    const output = rmsNorm(input, weight, config.normEpsilon);
    const unweighted = (): Value => rmsNorm(input, ones(context.graph, config.width), config.normEpsilon);
    return context.hooks?.norm?.({ name, weight, output, segments, unweighted }) ?? output;
  };
  return { config, context, dropout: createDropout(context.dropout), parameter, linear, norm };
}

/** The embeddings of ids `[rows, length]`, `[rows, length, width]`. */
export function embedIds({ config, parameter }: Builder, ids: Value): Value {
  const [rows, length] = [sizeAt(ids.shape, 0, "t5"), sizeAt(ids.shape, 1, "t5")];
  return reshape(gatherRows(parameter(EMBEDDING), reshape(ids, [rows * length])), [rows, length, config.width]);
}

/**
 * The encoder: embeddings `[rows, length, width]` of ids `[rows, length]`, through their hook, to its last states; a position sees those of its own
 * example.
 */
export function encode(
  build: Builder,
  { ids, embeddings, segments }: { readonly ids: Value; readonly embeddings: Value; readonly segments: Value },
): States {
  const { hooks } = build.context;
  const input = hooks?.embedding?.({ name: INPUT_EMBEDDING, ids, output: embeddings, segments }) ?? embeddings;
  const sameExample = equalPairs(segments, segments);
  const bias = attentionBias(positionBias(build, "encoder", segments), maskOf(sameExample));
  let states = build.dropout.apply(input, 1);
  for (let block = 0; block < build.config.encoderLayers; block++) {
    states = blockOf(build, { stack: "encoder", block, input: states, segments }, (subLayer, normalized) =>
      subLayer.kind === "feed-forward"
        ? feedForward(build, subLayer, normalized)
        : attend(build, subLayer, normalized, normalized, bias),
    );
  }
  return finish(build, "encoder", { input: states, segments });
}

/** The sub-layers of a block, one after the other; recomputed as one if that is asked for. */
export function blockOf(
  build: Builder,
  { stack, block, input, segments }: States & { readonly stack: Stack; readonly block: number },
  layer: (subLayer: SubLayer, normalized: States) => Value,
): Value {
  const { config, context } = build;
  const compute = (): Value =>
    subLayersOf(stack, block, config.width).reduce(
      (states, subLayer) =>
        residual(build, subLayer, { input: states, segments }, (normalized) => layer(subLayer, normalized)),
      input,
    );
  return context.recompute ? recomputed(context.graph, compute) : compute();
}

/** `states + dropout(hook(layer(norm(states))))`. */
function residual(build: Builder, subLayer: SubLayer, states: States, layer: (normalized: States) => Value): Value {
  const { segments } = states;
  const output = layer({ input: build.norm(`${subLayer.path}.layer_norm.weight`, states), segments });
  const hooked = build.context.hooks?.afterSubLayer?.(subLayer, output, segments) ?? output;
  return add(states.input, build.dropout.apply(hooked, 1));
}

/** The normalisation behind a stack's last block. */
export function finish(build: Builder, stack: Stack, states: States): States {
  const normalized = build.norm(`${stack}.final_layer_norm.weight`, states);
  return { input: build.dropout.apply(normalized, 1), segments: states.segments };
}

function ones(graph: Graph, count: number): Value {
  return graph.constant({ dtype: "float32", shape: [count], data: new Float32Array(count).fill(1) });
}

/** An attention sub-layer, `[rows, length, width]`. */
export function attend(build: Builder, subLayer: SubLayer, queries: States, keys: States, bias: AttentionBias): Value {
  const path = attentionPath(subLayer);
  const query = splitHeads(build, build.linear(`${path}.q.weight`, queries));
  const key = splitHeads(build, build.linear(`${path}.k.weight`, keys));
  const value = splitHeads(build, build.linear(`${path}.v.weight`, keys));
  const scoreShape = [...query.shape.slice(0, 3), sizeAt(key.shape, 2, "t5")];
  const dropped = build.dropout.attention(value, scoreShape);
  const context = attention(query, key, dropped.values, { bias, dropout: dropped.probabilityMask });
  return build.linear(`${path}.o.weight`, { input: joinHeads(context), segments: queries.segments });
}

/** `[rows, length, heads · headWidth]` → `[rows, heads, length, headWidth]`. */
export function splitHeads({ config: { heads, headWidth } }: Builder, value: Value): Value {
  const [rows, length] = [sizeAt(value.shape, 0, "t5"), sizeAt(value.shape, 1, "t5")];
  return transpose(reshape(value, [rows, length, heads, headWidth]), [0, 2, 1, 3]);
}

/** `[rows, heads, length, headWidth]` → `[rows, length, heads · headWidth]`. */
export function joinHeads(context: Value): Value {
  const [rows = 0, heads = 0, length = 0, headWidth = 0] = context.shape.map((_, axis) =>
    sizeAt(context.shape, axis, "t5"),
  );
  return reshape(transpose(context, [0, 2, 1, 3]), [rows, length, heads * headWidth]);
}

const activationFunctions = { relu, "gelu-tanh": geluTanh, "gelu-erf": geluErf, silu } as const;

/** A feed-forward sub-layer, `[rows, length, width]`. */
export function feedForward(build: Builder, subLayer: SubLayer, states: States): Value {
  const path = feedForwardPath(subLayer);
  const activate = activationFunctions[build.config.activation];
  const hidden = build.config.gated
    ? mul(activate(build.linear(`${path}.wi_0.weight`, states)), build.linear(`${path}.wi_1.weight`, states))
    : activate(build.linear(`${path}.wi.weight`, states));
  return build.linear(`${path}.wo.weight`, { input: build.dropout.apply(hidden, 1), segments: states.segments });
}

/** The stack's relative position bias, `[1, heads, length, length]`, for ids or segments `[rows, length]`. */
export function positionBias(build: Builder, stack: Stack, ids: Value): Value {
  const { heads, relativeBuckets, relativeMaxDistance } = build.config;
  const length = sizeAt(ids.shape, 1, "t5");
  const data = relativePositionBuckets({
    queries: length,
    keys: length,
    buckets: relativeBuckets,
    maxDistance: relativeMaxDistance,
    bidirectional: stack === "encoder",
  });
  const buckets = build.context.graph.constant({ dtype: "int32", shape: [length * length], data });
  // [length², heads] → [1, heads, length, length]
  const byPair = gatherRows(build.parameter(relativeBiasName(stack)), buckets);
  return reshape(transpose(byPair, [1, 0]), [1, heads, length, length]);
}

/** `[rows, 1, queries, keys]`: whether query and key carry the same number. */
export function equalPairs(queries: Value, keys: Value): Value {
  const [rows, queryLength] = [sizeAt(queries.shape, 0, "t5"), sizeAt(queries.shape, 1, "t5")];
  const keyLength = sizeAt(keys.shape, 1, "t5");
  return compare("Equal", reshape(queries, [rows, 1, queryLength, 1]), reshape(keys, [rows, 1, 1, keyLength]));
}

/** 0 where something is seen, else a number that no score outweighs. */
export function maskOf(visible: Value): Value {
  const { graph } = visible;
  return where(visible, graph.scalar("float32", 0), graph.scalar("float32", MASKED));
}

/** What the decoder's last states `[positions, width]` say about the next token. */
export function predict({ config, parameter }: Builder, finished: Value): TargetStates {
  return {
    hidden: config.scaledOutput ? mul(finished, config.width ** -0.5) : finished,
    head: parameter(config.tied ? EMBEDDING : OUTPUT_PROJECTION),
  };
}

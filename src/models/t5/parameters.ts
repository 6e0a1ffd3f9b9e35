import type { HookPoints, SubLayer } from "../hooks.js";
import type { ParameterSpec } from "../parameter.js";
import type { T5Config } from "./config.js";

/** Hugging Face's name of the token embedding. */
export const EMBEDDING = "shared.weight";
/** The module through which the encoder looks it up, as transformers calls it. */
export const INPUT_EMBEDDING = "encoder.embed_tokens";
/** Hugging Face's name of the output projection of untied models. */
export const OUTPUT_PROJECTION = "lm_head.weight";

/** The two stacks. */
export type Stack = "encoder" | "decoder";

/** The sub-layers of a stack's block, in order. */
export function subLayersOf(stack: Stack, block: number, width: number): SubLayer[] {
  const kinds =
    stack === "encoder"
      ? (["self-attention", "feed-forward"] as const)
      : (["self-attention", "cross-attention", "feed-forward"] as const);
  return kinds.map((kind, layer) => ({ path: `${stack}.block.${block}.layer.${layer}`, kind, width }));
}

/** The module inside an attention sub-layer. */
export function attentionPath(subLayer: SubLayer): string {
  return `${subLayer.path}.${subLayer.kind === "self-attention" ? "SelfAttention" : "EncDecAttention"}`;
}

/** The module inside a feed-forward sub-layer. */
export function feedForwardPath(subLayer: SubLayer): string {
  return `${subLayer.path}.DenseReluDense`;
}

/** The table of relative position biases of a stack, `[buckets, heads]`; only block 0 has one. */
export function relativeBiasName(stack: Stack): string {
  return `${stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight`;
}

/**
 * All parameters with Hugging Face's names and the standard deviations of T5's own initialisation (mesh-tensorflow: queries also carry the
 * factor headWidth^-0.5 that attention leaves out). The untied output projection starts at width^-0.5 as in T5X; transformers' 1.0 would
 * start the loss in the hundreds.
 */
export function t5Parameters(config: T5Config): ParameterSpec[] {
  const { width, heads, headWidth, feedForwardWidth, vocabularySize } = config;
  const inner = heads * headWidth;
  const parameters: ParameterSpec[] = [];
  const normal = (name: string, shape: readonly number[], standardDeviation: number): void => {
    parameters.push({ name, shape, initializer: { kind: "normal", standardDeviation } });
  };
  const norm = (name: string): void => {
    parameters.push({ name, shape: [width], initializer: { kind: "ones" } });
  };
  normal(EMBEDDING, [vocabularySize, width], 1);
  for (const stack of ["encoder", "decoder"] as const) {
    for (const subLayer of stackSubLayers(config, stack)) {
      if (subLayer.kind === "feed-forward") {
        const path = feedForwardPath(subLayer);
        for (const input of config.gated ? ["wi_0", "wi_1"] : ["wi"]) {
          normal(`${path}.${input}.weight`, [feedForwardWidth, width], width ** -0.5);
        }
        normal(`${path}.wo.weight`, [width, feedForwardWidth], feedForwardWidth ** -0.5);
      } else {
        const path = attentionPath(subLayer);
        normal(`${path}.q.weight`, [inner, width], (width * headWidth) ** -0.5);
        normal(`${path}.k.weight`, [inner, width], width ** -0.5);
        normal(`${path}.v.weight`, [inner, width], width ** -0.5);
        normal(`${path}.o.weight`, [width, inner], inner ** -0.5);
        if (`${path}.relative_attention_bias.weight` === relativeBiasName(stack)) {
          normal(relativeBiasName(stack), [config.relativeBuckets, heads], width ** -0.5);
        }
      }
      norm(`${subLayer.path}.layer_norm.weight`);
    }
    norm(`${stack}.final_layer_norm.weight`);
  }
  if (!config.tied) {
    normal(OUTPUT_PROJECTION, [vocabularySize, width], width ** -0.5);
  }
  return parameters;
}

/** What deltas can address in a T5. */
export function t5HookPoints(config: T5Config): HookPoints {
  const subLayers = (["encoder", "decoder"] as const).flatMap((stack) => stackSubLayers(config, stack));
  const parameters = t5Parameters(config);
  return {
    subLayers,
    linears: parameters.flatMap(({ name, shape: [outputs, inputs] }) =>
      /\.(q|k|v|o|wi|wi_0|wi_1|wo)\.weight$/.test(name) && outputs !== undefined && inputs !== undefined
        ? [{ name, outputs, inputs }]
        : [],
    ),
    embeddings: [{ name: INPUT_EMBEDDING, pieces: config.vocabularySize, width: config.width }],
    norms: parameters.filter(({ name }) => name.endsWith("layer_norm.weight")),
  };
}

function stackSubLayers(config: T5Config, stack: Stack): SubLayer[] {
  const blocks = stack === "encoder" ? config.encoderLayers : config.decoderLayers;
  return Array.from({ length: blocks }, (_, block) => subLayersOf(stack, block, config.width)).flat();
}

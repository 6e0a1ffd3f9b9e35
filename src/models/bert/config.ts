import * as z from "zod";
import { CadreError } from "../../core/errors.js";
import { parseConfig } from "../../core/parse-config.js";
import { MAX_LAYERS, MAX_VOCABULARY, MAX_WIDTH } from "../t5/config.js";

const width = z.int().positive().max(MAX_WIDTH);

/** transformers' names of activations. */
const ACTIVATIONS = { gelu: "gelu-erf", gelu_new: "gelu-tanh", relu: "relu", silu: "silu" } as const;

/** Hugging Face's `config.json` of BERT; absent fields mean what `BertConfig` of transformers says. */
const bertConfigSchema = z.looseObject({
  model_type: z.literal("bert", { error: 'expected "bert": of encoders, Cadre has BERT (the MiniLM family) alone' }),
  vocab_size: z.int().positive().max(MAX_VOCABULARY).default(30522),
  hidden_size: width.default(768),
  num_hidden_layers: z.int().positive().max(MAX_LAYERS).default(12),
  num_attention_heads: width.default(12),
  intermediate_size: width.default(3072),
  hidden_act: z.enum(["gelu", "gelu_new", "relu", "silu"]).default("gelu"),
  max_position_embeddings: width.default(512),
  type_vocab_size: width.default(2),
  layer_norm_eps: z.number().positive().default(1e-12),
  pad_token_id: z.int().nonnegative().default(0),
  position_embedding_type: z
    .literal("absolute", { error: 'expected "absolute": relative positions are not supported' })
    .default("absolute"),
});

/** A BERT encoder's shape. */
export interface BertConfig {
  readonly vocabularySize: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly feedForwardWidth: number;
  readonly activation: (typeof ACTIVATIONS)[keyof typeof ACTIVATIONS];
  /** Most tokens of a text. */
  readonly positions: number;
  /** Kinds of text parts; a text alone is of the first. */
  readonly types: number;
  readonly normEpsilon: number;
  readonly padId: number;
}

/**
 * Reads the content of a `config.json` of a BERT encoder, e.g. all-MiniLM-L6-v2.
 * @throws CadreError `invalid-file` naming every field that is wrong.
 */
export function parseBertConfig(content: unknown): BertConfig {
  const fields = parseConfig(bertConfigSchema, content, {
    where: "config.json: expected a BERT configuration",
    code: "invalid-file",
  });
  const { hidden_size: size, num_attention_heads: heads, pad_token_id: padId, vocab_size: vocabularySize } = fields;
  if (size % heads !== 0) {
    throw new CadreError(
      "invalid-file",
      `config.json: hidden_size: expected a multiple of num_attention_heads = ${heads}, found ${size}`,
    );
  }
  if (padId >= vocabularySize) {
    throw new CadreError(
      "invalid-file",
      `config.json: pad_token_id: expected the id of one of vocab_size = ${vocabularySize} pieces, found ${padId}`,
    );
  }
  return {
    vocabularySize,
    width: size,
    layers: fields.num_hidden_layers,
    heads,
    feedForwardWidth: fields.intermediate_size,
    activation: ACTIVATIONS[fields.hidden_act],
    positions: fields.max_position_embeddings,
    types: fields.type_vocab_size,
    normEpsilon: fields.layer_norm_eps,
    padId,
  };
}

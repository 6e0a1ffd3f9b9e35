import * as z from "zod";
import { MOST_TOP } from "../generation/row-options.js";
import { listOfText, modelField, textsField } from "./fields.js";
import type { ServingLimits } from "./limits.js";
import { type BodyFormat, only } from "./read-body.js";

/** Tokens of an answer where the request does not say; the façade's own default. */
export const DEFAULT_TOKENS = 64;
/** As many as the façade takes. */
const MOST_STOPS = 16;

const number = (least: number, most: number) => {
  const expected = `expected a number from ${least} to ${most}`;
  return z.number({ error: expected }).min(least, expected).max(most, expected).nullish();
};

const whole = (least: number, most: number, limit = "") => {
  const expected = `expected a whole number from ${least} to ${most}${limit}`;
  return z.int({ error: expected }).min(least, expected).max(most, expected).nullish();
};

const SHARE = "expected a number above 0, at most 1";
const TOP_K = "expected a whole number of 1 or more (0 or -1: all)";

/** The body of `POST /v1/completions`: OpenAI's fields, and `top_k`, `min_p`, `repetition_penalty` as other servers name them. */
export function completionBody(limits: ServingLimits) {
  const schema = z.object({
    model: modelField,
    prompt: textsField(limits.inputs, "inputs"),
    max_tokens: whole(1, limits.tokens, " (the limit tokens)"),
    temperature: number(0, 2),
    top_p: z.number({ error: SHARE }).gt(0, SHARE).max(1, SHARE).nullish(),
    // Other servers' ways to say all.
    top_k: z
      .int({ error: TOP_K })
      .min(-1, TOP_K)
      .transform((count) => (count < 1 ? null : count))
      .nullish(),
    min_p: number(0, 1),
    repetition_penalty: number(0.01, 100),
    n: whole(1, limits.n, " (the limit n)"),
    stop: z
      .preprocess(
        listOfText,
        z
          .array(z.string({ error: "expected a text; token ids are not taken" }), {
            error: "expected a text or a list of texts",
          })
          .max(MOST_STOPS, `expected at most ${MOST_STOPS} texts`)
          // To other servers an empty text says none.
          .transform((texts) => texts.filter((text) => text !== "")),
      )
      .nullish(),
    seed: z.int({ error: "expected a whole number that JavaScript holds exactly" }).nullish(),
    logprobs: whole(0, MOST_TOP),
    stream: z.boolean().nullish(),
    stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  });
  return { schema, unsupported: UNSUPPORTED, renamed: RENAMED };
}

/** A checked body. */
export type CompletionBody = z.output<ReturnType<typeof completionBody>["schema"]>;

const UNSUPPORTED: BodyFormat<z.ZodObject>["unsupported"] = {
  best_of: (value, body) => value === (body.n ?? 1),
  echo: only(false),
  suffix: only(""),
  logit_bias: only({}),
  presence_penalty: only(0),
  frequency_penalty: only(0),
  response_format: only({ type: "text" }),
  tools: only([]),
  functions: only([]),
  // Of other servers with this endpoint, and of the façade.
  add_special_tokens: only(true),
  allowed_token_ids: only([]),
  bad_words: only([]),
  beams: only(1),
  choices: only([]),
  diversity_penalty: only(0),
  do_sample: only(false),
  dry_multiplier: only(0),
  dynatemp_range: only(0),
  early_stopping: only(false),
  epsilon_cutoff: only(0),
  eta_cutoff: only(0),
  grammar: only(""),
  guidance_scale: only(1),
  guided_choice: only(),
  guided_grammar: only(),
  guided_json: only(),
  guided_regex: only(),
  ignore_eos: only(false),
  include_stop_str_in_output: only(false),
  json_schema: only(),
  length_penalty: only(1),
  logits_processors: only([]),
  min_length: only(0),
  min_tokens: only(0),
  mirostat: only(0),
  no_repeat_ngram_size: only(0),
  num_beams: only(1),
  penalty_alpha: only(0),
  prompt_embeds: only(),
  prompt_logprobs: only(),
  skip_special_tokens: only(true),
  stop_token_ids: only([]),
  structured_outputs: only(),
  tfs_z: only(1),
  truncate_prompt_tokens: only(),
  typical: only(1),
  typical_p: only(1),
  use_beam_search: only(false),
  xtc_probability: only(0),
};

const RENAMED: BodyFormat<z.ZodObject>["renamed"] = {
  adapter_id: "model",
  expert: "model",
  experts: "model",
  input: "prompt",
  inputs: "prompt",
  max_completion_tokens: "max_tokens",
  max_new_tokens: "max_tokens",
  max_output_tokens: "max_tokens",
  messages: "prompt",
  n_predict: "max_tokens",
  num_predict: "max_tokens",
  num_return_sequences: "n",
  repeat_penalty: "repetition_penalty",
  samples: "n",
  stop_sequences: "stop",
  top_logprobs: "logprobs",
};

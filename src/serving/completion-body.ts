import * as z from "zod";
import { MOST_TOP } from "../generation/row-options.js";
import { modelField, textList, textsField } from "./fields.js";
import type { ServingLimits } from "./limits.js";
import type { BodyFormat } from "./read-body.js";

/** Tokens of an answer where the request does not say; the façade's own default. */
export const DEFAULT_TOKENS = 64;
/** As many as the façade takes. */
const MOST_STOPS = 16;

const number = (least: number, most: number) =>
  z
    .number({ error: `expected a number from ${least} to ${most}` })
    .min(least)
    .max(most)
    .nullish();

/** The body of `POST /v1/completions`: OpenAI's fields, and `top_k`, `min_p`, `repetition_penalty` as other servers name them. */
export function completionBody(limits: ServingLimits) {
  const schema = z.object({
    model: modelField,
    prompt: textsField(limits.inputs),
    max_tokens: z
      .int({ error: "expected a whole number" })
      .min(1)
      .max(limits.tokens, `expected at most ${limits.tokens} (the limit tokens)`)
      .nullish(),
    temperature: number(0, 2),
    top_p: z
      .number({ error: "expected a number above 0, at most 1" })
      .gt(0, "expected a number above 0, at most 1")
      .max(1)
      .nullish(),
    top_k: z.int({ error: "expected a whole number" }).min(1).nullish(),
    min_p: number(0, 1),
    repetition_penalty: number(0.01, 100),
    n: z
      .int({ error: "expected a whole number" })
      .min(1)
      .max(limits.n, `expected at most ${limits.n} (the limit n)`)
      .nullish(),
    stop: z
      .preprocess(
        (value) => (typeof value === "string" ? [value] : value),
        textList(MOST_STOPS, `expected at most ${MOST_STOPS} texts`),
      )
      .nullish(),
    seed: z.int({ error: "expected a whole number that JavaScript holds exactly" }).nullish(),
    logprobs: z
      .int({ error: `expected a whole number from 0 to ${MOST_TOP}` })
      .min(0)
      .max(MOST_TOP)
      .nullish(),
    stream: z.boolean().nullish(),
    stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  });
  return { schema, unsupported: UNSUPPORTED };
}

/** A checked body. */
export type CompletionBody = z.output<ReturnType<typeof completionBody>["schema"]>;

const only =
  (...neutral: readonly unknown[]) =>
  (value: unknown): boolean =>
    neutral.some((candidate) => JSON.stringify(candidate) === JSON.stringify(value));

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
  // Of other servers with this endpoint.
  add_special_tokens: only(true),
  allowed_token_ids: only([]),
  bad_words: only([]),
  guided_choice: only(),
  guided_grammar: only(),
  guided_json: only(),
  guided_regex: only(),
  ignore_eos: only(false),
  include_stop_str_in_output: only(false),
  length_penalty: only(1),
  logits_processors: only([]),
  min_tokens: only(0),
  mirostat: only(0),
  prompt_embeds: only(),
  prompt_logprobs: only(),
  skip_special_tokens: only(true),
  stop_token_ids: only([]),
  structured_outputs: only(),
  truncate_prompt_tokens: only(),
  typical_p: only(1),
  use_beam_search: only(false),
};

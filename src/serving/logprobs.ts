import type { AnswerToken } from "../cadre/cadre.js";

/** Tokens of an answer in the shape of OpenAI's completions; natural logarithms. */
export interface LogprobsJson {
  readonly tokens: readonly string[];
  readonly token_logprobs: readonly number[];
  /** The likeliest tokens of each step and the chosen one, by their text; of several with one text the likeliest. */
  readonly top_logprobs: readonly Readonly<Record<string, number>>[];
  /** Where each token begins in the answer, in Unicode characters. */
  readonly text_offset: readonly number[];
}

/**
 * @param offset Characters of the answer before these tokens; 0 unless they are of a part.
 */
export function logprobsJson(tokens: readonly AnswerToken[], offset = 0): LogprobsJson {
  let position = offset;
  return {
    tokens: tokens.map(({ text }) => text),
    token_logprobs: tokens.map(({ logProbability }) => logProbability),
    top_logprobs: tokens.map(topJson),
    text_offset: tokens.map(({ text }) => {
      const start = position;
      position += countCharacters(text);
      return start;
    }),
  };
}

/** Unicode characters of a text, as OpenAI counts; JavaScript's own length counts many of them twice. */
export function countCharacters(text: string): number {
  return [...text].length;
}

function topJson(token: AnswerToken): Record<string, number> {
  const likeliest = new Map<string, number>();
  for (const { text, logProbability } of [...token.top, token]) {
    likeliest.set(text, Math.max(logProbability, likeliest.get(text) ?? Number.NEGATIVE_INFINITY));
  }
  return Object.fromEntries(likeliest);
}

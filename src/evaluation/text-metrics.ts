import { l as longestCommonSubsequence } from "js-rouge";
import { CadreError } from "../core/errors.js";
import { porterStem } from "./porter-stem.js";

/** What an answer scores against the accepted ones, 0 to 1. */
export type TextMetric = (answer: string, references: readonly string[]) => number;

/** The metrics of written answers by the names that tasks call them. */
export const textMetrics: ReadonlyMap<string, TextMetric> = new Map<string, TextMetric>([
  ["exact match", exactMatch],
  ["token F1", tokenF1],
  ["ROUGE-L", (answer, references) => rougeL(answer, references)],
]);

/**
 * 1 where the answer is one of the references, as SQuAD compares them (Rajpurkar et al. 2016): in lower case, without ASCII punctuation and
 * English articles, white space made one space; else 0. Of two texts of which that leaves nothing (`A`, `!!!`, an empty one) SQuAD would say that
 * they are equal; here they must be so in lower case without white space around them, as an answer of nothing is not right where `!!!` is.
 * @throws CadreError `invalid-argument` without references.
 */
export function exactMatch(answer: string, references: readonly string[]): number {
  const normalized = normalizeAnswer(answer);
  return best("exactMatch", references, (reference) => {
    const expected = normalizeAnswer(reference);
    return expected === "" ? wordlessMatch(answer, reference) : Number(expected === normalized);
  });
}

/**
 * SQuAD's F1 over words, normalised as in `exactMatch`, from 0 to 1; a word counts as often as both have it. Of several references, the best.
 * Where a text has no words, it is the exact match, which differs from SQuAD there.
 * @throws CadreError `invalid-argument` without references.
 */
export function tokenF1(answer: string, references: readonly string[]): number {
  const found = wordsOf(answer);
  return best("tokenF1", references, (reference) => {
    const expected = wordsOf(reference);
    if (found.length === 0 || expected.length === 0) {
      return wordlessMatch(answer, reference);
    }
    const left = new Map<string, number>();
    for (const word of expected) {
      left.set(word, (left.get(word) ?? 0) + 1);
    }
    let common = 0;
    for (const word of found) {
      const count = left.get(word) ?? 0;
      common += count > 0 ? 1 : 0;
      left.set(word, count - 1);
    }
    return (2 * common) / (found.length + expected.length);
  });
}

/**
 * ROUGE-L (Lin 2004) as Python's `rouge-score` has it: the F1 of the longest common subsequence of words, from 0 to 1, over the whole text
 * (not by sentence). Words are runs of a-z and 0-9 in lower case; a text without any, which includes most scripts but Latin, scores 0. Of
 * several references, the best.
 * @param options.stem Compare stems of words of more than three letters; default false.
 * @throws CadreError `invalid-argument` without references.
 */
export function rougeL(
  answer: string,
  references: readonly string[],
  { stem = false }: { readonly stem?: boolean } = {},
): number {
  const words = (text: string): string[] => {
    const found = text.toLowerCase().match(/[a-z0-9]+/g) ?? [];
    return stem ? found.map((word) => (word.length > 3 ? porterStem(word) : word)) : found;
  };
  const found = words(answer);
  return best("rougeL", references, (reference) => {
    const expected = words(reference);
    // The library throws for empty texts.
    return found.length === 0 || expected.length === 0
      ? 0
      : longestCommonSubsequence(found.join(" "), expected.join(" "), {
          tokenizer: (text) => text.split(" "),
          segmenter: (text) => [text],
        });
  });
}

function best(metric: string, references: readonly string[], score: (reference: string) => number): number {
  if (references.length === 0) {
    throw new CadreError("invalid-argument", `${metric}: expected at least one reference, got none`);
  }
  return references.reduce((most, reference) => Math.max(most, score(reference)), 0);
}

/** Python's `string.punctuation`. */
const PUNCTUATION = /[!-/:-@[-`{-~]/g;
/** Whole words, as Python's `\b` sees them, which knows all letters. */
const ARTICLES = /(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu;
/** What Python's `str.split` splits at. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: Python counts four control characters as white space.
const WHITE_SPACE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/;

function wordsOf(text: string): string[] {
  return text
    .toLowerCase()
    .replace(PUNCTUATION, "")
    .replace(ARTICLES, " ")
    .split(WHITE_SPACE)
    .filter((word) => word !== "");
}

function normalizeAnswer(text: string): string {
  return wordsOf(text).join(" ");
}

function wordlessMatch(answer: string, reference: string): number {
  return Number(answer.trim().toLowerCase() === reference.trim().toLowerCase());
}

import { CadreError } from "../core/errors.js";
import { shownValue } from "./shown-value.js";

/** Most tokens that are listed at a step. */
export const MOST_TOP = 20;
/** The smallest temperature that divides; below it the likeliest token is as good as certain, and quotients would leave float32. */
const COLDEST = 1e-4;

/**
 * How a row's tokens are chosen; names, order and meaning are those of transformers' `generate`: repetition penalty, temperature, top-k,
 * top-p, min-p. Rows of a call may differ in all of them.
 */
export interface RowOptions {
  /** 0 (the default) takes the likeliest token; from 0.0001 to 100 tokens are drawn from the distribution at that temperature. */
  readonly temperature?: number;
  /** Draws among so many of the likeliest tokens, and what is as likely as the last of them; 1 or more, default all. */
  readonly topK?: number;
  /** Draws among the likeliest tokens that together reach this probability, in (0, 1]; default 1, all. */
  readonly topP?: number;
  /** Draws among tokens at least this share as likely as the likeliest, in [0, 1]; default 0, all. */
  readonly minP?: number;
  /**
   * Divides (multiplies, where negative) the logits of the tokens that the decoder has read, its start token included; from 0.01 to 100,
   * default 1. Counts for the likeliest token, too.
   */
  readonly repetitionPenalty?: number;
  /** Decides what is drawn, together with the number of the step alone: an integer in [0, 2³²). Needed where the temperature is not 0. */
  readonly seed?: number;
  /** Most tokens of the answer, the end token included; 1 or more, default the call's. */
  readonly maxNewTokens?: number;
  /** So many of the likeliest tokens are listed at every step; 0 (the default) to 20. */
  readonly topLogProbabilities?: number;
}

/** All options of a row. */
export interface ResolvedOptions extends Required<Omit<RowOptions, "topK">> {
  /** 0 for all. */
  readonly topK: number;
}

/** Fills in defaults. @throws CadreError `invalid-argument` for a value out of its range, by row and name. */
export function resolveOptions(given: RowOptions, { row, maxNewTokens }: RowDefaults): ResolvedOptions {
  const where = row === undefined ? "generate" : `generate: row ${row}`;
  const { temperature = 0, topK, topP = 1, minP = 0, repetitionPenalty = 1, seed, topLogProbabilities = 0 } = given;
  if (temperature !== 0) {
    checkNumber(where, { name: "temperature", value: temperature, least: COLDEST, most: 100, or: "0, or " });
  }
  if (topK !== undefined) {
    checkInteger(where, { name: "topK", value: topK, least: 1 });
  }
  checkNumber(where, { name: "topP", value: topP, above: 0, most: 1 });
  checkNumber(where, { name: "minP", value: minP, least: 0, most: 1 });
  checkPenalty(where, repetitionPenalty);
  checkInteger(where, { name: "topLogProbabilities", value: topLogProbabilities, least: 0, most: MOST_TOP });
  if (seed !== undefined) {
    checkInteger(where, { name: "seed", value: seed, least: 0, most: 2 ** 32 - 1 });
  } else if (temperature > 0) {
    throw new CadreError(
      "invalid-argument",
      `${where}: seed: expected an integer, as the temperature is ${temperature}; equal seeds draw equal tokens`,
    );
  }
  return {
    ...{ temperature, topK: topK ?? 0, topP, minP, repetitionPenalty, seed: seed ?? 0, topLogProbabilities },
    maxNewTokens: checkMaxNewTokens(where, given.maxNewTokens ?? maxNewTokens),
  };
}

/** What `resolveOptions` needs to know. */
export interface RowDefaults {
  /** Position in the caller's list, for messages; default: there is no list. */
  readonly row?: number;
  readonly maxNewTokens: number;
}

/** Whether the fastest program does: the likeliest token, nothing listed. */
export function isPlain({ temperature, repetitionPenalty, topLogProbabilities }: ResolvedOptions): boolean {
  return temperature === 0 && repetitionPenalty === 1 && topLogProbabilities === 0;
}

/** @throws CadreError `invalid-argument` unless it is an integer of 1 or more. */
export function checkMaxNewTokens(where: string, value: number): number {
  checkInteger(where, { name: "maxNewTokens", value, least: 1 });
  return value;
}

/** @throws CadreError `invalid-argument` for a repetition penalty out of range. */
export function checkPenalty(where: string, value: number): void {
  checkNumber(where, { name: "repetitionPenalty", value, least: 0.01, most: 100 });
}

/** @throws CadreError `invalid-argument` unless it is an integer in the range. */
export function checkInteger(where: string, { name, value, least, most }: Range & { readonly least: number }): void {
  if (!Number.isSafeInteger(value) || value < least || value > (most ?? value)) {
    const range = most === undefined ? `of ${least} or more` : `from ${least} to ${most}`;
    throw new CadreError(
      "invalid-argument",
      `${where}: ${name}: expected an integer ${range}, got ${shownValue(value)}`,
    );
  }
}

interface Range {
  readonly name: string;
  readonly value: number;
  readonly most?: number;
}

function checkNumber(
  where: string,
  {
    name,
    value,
    least = Number.NEGATIVE_INFINITY,
    above,
    most,
    or = "",
  }: Range & { readonly least?: number; readonly above?: number; readonly most: number; readonly or?: string },
): void {
  // JavaScript callers may pass a text, which would compare as the number that it spells.
  if (typeof value !== "number" || !(value >= least && value > (above ?? Number.NEGATIVE_INFINITY) && value <= most)) {
    const from = above === undefined ? `from ${least}` : `above ${above}`;
    throw new CadreError(
      "invalid-argument",
      `${where}: ${name}: expected ${or}a number ${from} ${above === undefined ? "to" : "and at most"} ${most}, got ${shownValue(value)}`,
    );
  }
}

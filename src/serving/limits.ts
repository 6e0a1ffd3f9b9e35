import { CadreError } from "../core/errors.js";
import { nearMiss } from "../core/near-miss.js";

/** What one request may ask for. Whatever is beyond is refused with 400 (a body with 413, time with 408 and 504), naming the limit. */
export interface ServingLimits {
  /** Bytes of a body; default 1 MiB. */
  readonly bodyBytes: number;
  /** Tokens of an answer, the largest `max_tokens`; default 512. */
  readonly tokens: number;
  /** Prompts (times `n`) or texts of a request, but for embeddings; default 64. */
  readonly inputs: number;
  /** Texts of a request for embeddings; default 2048, as many as OpenAI takes and the AI SDK sends at a time. */
  readonly embeddings: number;
  /** Answers to one prompt, the largest `n`; at most 128, default 16. */
  readonly n: number;
  /** Choices of a classification; default 256. */
  readonly choices: number;
  /** Seconds for reading a body, and again for answering it; at most a day, default 120. */
  readonly seconds: number;
}

/** The limits where nothing else is asked for. */
export const DEFAULT_LIMITS: ServingLimits = {
  bodyBytes: 2 ** 20,
  tokens: 512,
  inputs: 64,
  embeddings: 2048,
  n: 16,
  choices: 256,
  seconds: 120,
};

const LARGEST: ServingLimits = {
  bodyBytes: 2 ** 28,
  tokens: 2 ** 20,
  inputs: 2 ** 16,
  embeddings: 2 ** 16,
  n: 128,
  choices: 2 ** 16,
  seconds: 86_400,
};

/**
 * The defaults, with some replaced.
 * @throws CadreError `invalid-argument` for a name that is no limit (with the one that was probably meant) and for a value out of range.
 */
export function servingLimits(given: Readonly<Record<string, number | undefined>> = {}): ServingLimits {
  const limits: { -readonly [Name in keyof ServingLimits]: number } = { ...DEFAULT_LIMITS };
  for (const [name, value] of Object.entries(given)) {
    if (!isLimit(name)) {
      const names = Object.keys(DEFAULT_LIMITS);
      const meant = nearMiss(name, names);
      throw new CadreError(
        "invalid-argument",
        `limits: expected ${names.join(", ")}, got "${name}"${meant === undefined ? "" : `; did you mean ${meant}?`}`,
      );
    }
    if (value !== undefined) limits[name] = checkLimit(name, value);
  }
  return limits;
}

function isLimit(name: string): name is keyof ServingLimits {
  return Object.hasOwn(DEFAULT_LIMITS, name);
}

function checkLimit(name: keyof ServingLimits, value: number): number {
  const isWhole = name === "seconds" || Number.isSafeInteger(value);
  const isInRange = name === "seconds" ? value > 0 : value >= 1;
  if (!isWhole || !isInRange || !(value <= LARGEST[name])) {
    const kind = name === "seconds" ? "a number above 0, up" : "a whole number from 1";
    throw new CadreError("invalid-argument", `limits: ${name}: expected ${kind} to ${LARGEST[name]}, got ${value}`);
  }
  return value;
}

import { CadreError } from "../core/errors.js";
import { layOutRows, type Row } from "../experts/rows.js";
import { type EncodedExample, IGNORED, truncateExample } from "../mixtures/encoded-example.js";
import type { Delta } from "../models/delta.js";

/** An example that the scorer's own delta answers, where it has one; or a row, whose experts answer it. */
export type ScoredRow = EncodedExample | Row;

/** Limits of `limitRows`, in tokens. */
export interface ScoreLimits {
  /** Most input tokens, end token included. */
  readonly inputLength: number;
  /** Most tokens of all choices of an example together. */
  readonly targetLength: number;
}

/** Rows that can be scored, in the order given. */
export interface LimitedRows {
  readonly rows: readonly Row[];
  /** Examples whose input was cut. */
  readonly truncatedExamples: number;
  readonly inputTokensCut: number;
}

/**
 * Cuts inputs; refuses choices that would have to be cut, since a cut choice is another choice.
 * @throws CadreError `invalid-argument` naming the example.
 */
export function limitRows(given: readonly ScoredRow[], limits: ScoreLimits): LimitedRows {
  let truncatedExamples = 0;
  let inputTokensCut = 0;
  const rows = given.map((scored, index) => {
    const { example, experts } = "example" in scored ? scored : { example: scored, experts: [] };
    expectWholeChoices(example, { ...limits, index });
    const needed = countTokens(example);
    const cut = named(index, () =>
      truncateExample(example, { inputLength: limits.inputLength, targetLength: Math.max(1, needed) }),
    );
    truncatedExamples += cut.inputTokensCut > 0 ? 1 : 0;
    inputTokensCut += cut.inputTokensCut;
    return { example: cut.example, experts };
  });
  return { rows, truncatedExamples, inputTokensCut };
}

/**
 * Checks that a delta knows the experts of rows, before anything is computed.
 * @throws CadreError naming the example: `invalid-argument` for experts where the delta takes none, a weight that is no number, or more of them
 * than a pack has room for; `not-found` for an unknown expert.
 */
export function expectExperts(rows: readonly Row[], delta: Delta | undefined): void {
  const checked = new Set<string>();
  rows.forEach((row, index) => {
    const key = JSON.stringify(row.experts);
    if (row.experts.length === 0 || checked.has(key)) {
      return;
    }
    checked.add(key);
    if (delta?.feeds === undefined) {
      const found = delta === undefined ? "no delta" : `one ${delta.kind} delta for all`;
      throw new CadreError(
        "invalid-argument",
        `score: example ${index}: expected no experts, as the scorer has ${found}; create it with the delta of mixExperts`,
        { details: { example: index } },
      );
    }
    const { feeds } = delta;
    const { input, targets } = row.example;
    const shape = {
      rows: 1,
      inputLength: input.length,
      targetLength: countTokens(row.example),
      sequences: targets.length,
    };
    named(index, () => feeds(layOutRows([[row]], shape, 0)));
  });
}

function expectWholeChoices(example: EncodedExample, { targetLength, index }: ScoreLimits & { index: number }): void {
  const needed = countTokens(example);
  if (needed > targetLength) {
    const longest = example.targets.reduce((most, { length }) => Math.max(most, length), 0);
    throw new CadreError(
      "invalid-argument",
      `score: example ${index}: expected at most ${targetLength} tokens in all choices together, got ${needed} in ${example.targets.length} choices, the longest of ${longest}; raise targetLength`,
      { details: { example: index, tokens: needed, targetLength } },
    );
  }
  const silent = example.targets.findIndex((target) => target.every((id) => id === IGNORED));
  if (silent >= 0) {
    throw new CadreError(
      "invalid-argument",
      `score: example ${index}: expected a token that counts in every choice, got none in choice ${silent}`,
      { details: { example: index, choice: silent } },
    );
  }
}

/** Tokens of all choices. */
function countTokens({ targets }: EncodedExample): number {
  return targets.reduce((sum, { length }) => sum + length, 0);
}

/** Puts the example before the message of an error. */
function named<Result>(index: number, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (CadreError.isInstance(error)) {
      throw new CadreError(error.code, `score: example ${index}: ${error.message}`, { cause: error });
    }
    throw error;
  }
}

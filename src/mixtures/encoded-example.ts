import { CadreError } from "../core/errors.js";

/** Marks a target position that no loss counts, as in transformers. */
export const IGNORED = -100;

/** An example as token ids; input and targets end with the end token. */
export interface EncodedExample {
  readonly input: Int32Array;
  /** The target; or, for an example with choices, every choice. Positions that hold `IGNORED` count in no loss. */
  readonly targets: readonly Int32Array[];
  /** Which of the targets is right; 0 where there is only one. */
  readonly correct: number;
}

/** Tokens that an example lost to its limits. */
export interface Truncation {
  readonly example: EncodedExample;
  readonly inputTokensCut: number;
  readonly targetTokensCut: number;
}

/** Limits of `truncateExample`, in tokens, end token included. */
export interface LengthLimits {
  readonly inputLength: number;
  /** All targets of an example together must fit: they share a pack's target side. */
  readonly targetLength: number;
}

/**
 * Cuts an example to its limits. A cut sequence keeps its end token as the last one. Where several targets together are too long, the
 * longest are shortened to one common length.
 * @throws CadreError `invalid-argument` for an empty sequence, or more choices than `targetLength` has tokens for (one each).
 */
export function truncateExample(example: EncodedExample, limits: LengthLimits): Truncation {
  if (
    example.input.length === 0 ||
    example.targets.length === 0 ||
    example.targets.some(({ length }) => length === 0)
  ) {
    throw new CadreError(
      "invalid-argument",
      "truncateExample: expected an input and targets of at least one token each",
    );
  }
  if (example.targets[example.correct] === undefined) {
    throw new CadreError(
      "invalid-argument",
      `truncateExample: expected the correct choice to be one of ${example.targets.length}, got number ${example.correct}`,
    );
  }
  const negative =
    example.input.find((id) => id < 0) ?? example.targets.flatMap((target) => [...target]).find(isNoTarget);
  if (negative !== undefined) {
    // Lookups count negative ids from the end of the vocabulary instead of failing.
    throw new CadreError(
      "invalid-argument",
      `truncateExample: expected token ids of 0 or more (targets also ${IGNORED}), got ${negative}`,
    );
  }
  const input = cut(example.input, limits.inputLength);
  const limit = commonLimit(example.targets, limits.targetLength);
  const targets = example.targets.map((target) => cut(target, limit));
  const lost = (before: Int32Array, after: Int32Array | undefined): number => before.length - (after?.length ?? 0);
  return {
    example: { input, targets, correct: example.correct },
    inputTokensCut: lost(example.input, input),
    targetTokensCut: example.targets.reduce((sum, target, index) => sum + lost(target, targets[index]), 0),
  };
}

function isNoTarget(id: number): boolean {
  return id < 0 && id !== IGNORED;
}

function cut(ids: Int32Array, limit: number): Int32Array {
  if (ids.length <= limit) {
    return ids;
  }
  const shortened = ids.slice(0, limit);
  shortened.set(ids.subarray(-1), limit - 1);
  return shortened;
}

/** The largest length to which every target may be cut so that all fit together. */
function commonLimit(targets: readonly Int32Array[], total: number): number {
  if (targets.length > total) {
    throw new CadreError(
      "invalid-argument",
      `truncateExample: expected at most ${total} choices (one token each), got ${targets.length}; raise the target length`,
    );
  }
  const lengths = targets.map(({ length }) => length).sort((left, right) => left - right);
  let remaining = total;
  for (const [index, length] of lengths.entries()) {
    const share = Math.floor(remaining / (lengths.length - index));
    if (length > share) {
      return share;
    }
    remaining -= length;
  }
  return total;
}

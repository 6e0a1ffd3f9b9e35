import { quote } from "../tasks/row-values.js";
import type { UserExample } from "../tasks/user-task.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";

/** Most tokens of all choices of a row together that can be scored: their states are held at once. */
export const MAX_SCORED_CHOICE_TOKENS = 4096;

/** The rows of a task that an expert would be trained on, and judged by. */
export interface TrainableRows extends Readonly<Record<"train" | "validation" | "test", readonly UserExample[]>> {
  /** Rows that were left out, for the message. */
  readonly badRows: number;
}

/** What a recipe asks of rows. */
export interface TrainableOptions {
  readonly tokenizer: Tokenizer;
  /** Most tokens of an answer, or of all choices of a training row together where these are learned. */
  readonly targetLength: number;
  /** Whether the loss over choices counts: a choice that is cut would be another choice. */
  readonly learnsChoices: boolean;
}

/**
 * Why no expert can be trained on rows, in words for a person (what was expected and found, what to do); undefined where one can. The one answer to
 * that question: `cadre check` prints it, a training refuses by it.
 */
export function whyNotTrainable(
  { train, validation, test, badRows }: TrainableRows,
  { tokenizer, targetLength, learnsChoices }: TrainableOptions,
): string | undefined {
  if (train.length === 0 || validation.length === 0) {
    const beside = badRows > 0 ? ` beside ${badRows} bad rows` : "";
    return `expected rows to train on and others for validation, got ${train.length} and ${validation.length}${beside}; add rows`;
  }
  const answer = train[0]?.targets[0] ?? "";
  if (train.every(({ targets }) => targets[0] === answer)) {
    return `expected training rows with different answers, found ${quote(answer)} in all ${train.length}; a model could only learn to say it: add rows with other answers`;
  }
  const tokensOf = choiceTokens(tokenizer);
  const advice = "shorten them, or train by the recipe elm, which learns the answer alone";
  return (
    (learnsChoices ? tooLongChoices(train, { tokensOf, limit: targetLength, advice }) : undefined) ??
    tooLongChoices([...validation, ...test], { tokensOf, limit: MAX_SCORED_CHOICE_TOKENS, advice: "shorten them" })
  );
}

function tooLongChoices(
  examples: readonly UserExample[],
  {
    tokensOf,
    limit,
    advice,
  }: {
    readonly tokensOf: (choices: readonly string[]) => number;
    readonly limit: number;
    readonly advice: string;
  },
): string | undefined {
  for (const { choices = [], place } of examples) {
    const tokens = tokensOf(choices);
    if (tokens > limit) {
      return `${place.file}: line ${place.line}: expected choices of at most ${limit} tokens together, got ${tokens} in ${choices.length} choices; ${advice}`;
    }
  }
  return undefined;
}

/** Counts the tokens of choices; of lists that rows share, once. */
function choiceTokens(tokenizer: Tokenizer): (choices: readonly string[]) => number {
  const known = new Map<readonly string[], number>();
  return (choices) => {
    const found = known.get(choices) ?? choices.reduce((sum, choice) => sum + tokenizer.encode(choice).length, 0);
    known.set(choices, found);
    return found;
  };
}

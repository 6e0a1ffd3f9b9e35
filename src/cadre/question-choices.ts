import { CadreError } from "../core/errors.js";
import { distinctChoices } from "../evaluation/choice-set.js";
import { shownValue } from "../generation/shown-value.js";
import { MAX_SCORED_CHOICE_TOKENS } from "../mixtures/check-task-trainable.js";
import type { EncodedExample } from "../mixtures/encoded-example.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import type { SelectedExpert } from "./expert-catalog.js";

/**
 * Checks labels that a caller gives.
 * @throws CadreError `invalid-argument` for what is no list of texts; for fewer than two, equal or empty ones.
 */
export function expectChoices(choices: readonly string[]): void {
  // JavaScript callers may pass anything.
  if (!Array.isArray(choices)) {
    throw new CadreError("invalid-argument", `choices: expected a list of labels, got ${shownValue(choices)}`);
  }
  const other = choices.findIndex((choice) => typeof choice !== "string");
  if (other >= 0) {
    throw new CadreError(
      "invalid-argument",
      `choices: expected labels that are texts, got ${shownValue(choices[other])} in place ${other + 1}`,
    );
  }
  const fail = (found: string): never => {
    throw new CadreError("invalid-argument", `choices: expected two or more different labels, got ${found}`);
  };
  if (choices.length < 2) fail(choices.length === 0 ? "none" : `only ${JSON.stringify(choices[0])}`);
  const empty = choices.findIndex((choice) => choice.trim() === "");
  if (empty >= 0) fail(`an empty one in place ${empty + 1}`);
  const twice = choices.find((choice, index) => choices.indexOf(choice) !== index);
  if (twice !== undefined) fail(`${JSON.stringify(twice)} twice`);
}

/**
 * The labels that the answering experts were trained on.
 * @returns undefined for the base, and for experts that have none or not the same
 */
export function ownChoices(experts: readonly SelectedExpert[]): readonly string[] | undefined {
  const [first, ...others] = experts.map(({ entry }) => entry.manifest.choices);
  return others.every((choices) => JSON.stringify(choices) === JSON.stringify(first)) ? first : undefined;
}

/** As `ownChoices`. @throws CadreError `invalid-argument` where there are none, saying who lacks them. */
export function expectOwnChoices(experts: readonly SelectedExpert[]): readonly string[] {
  const choices = ownChoices(experts);
  if (choices !== undefined) return choices;
  const names = experts.map(({ entry }) => JSON.stringify(entry.manifest.name)).join(", ");
  const reason =
    experts.length === 0
      ? "the base answers, which has none of its own"
      : experts.length === 1
        ? `${names} answers, whose task has no fixed ones`
        : `${names} answer together and do not share theirs`;
  throw new CadreError("invalid-argument", `classify: expected choices, as ${reason}; give choices, or use generate`);
}

/**
 * A question as token ids, its input whole, its choices in the order given.
 * @throws CadreError `invalid-argument` for choices that the tokenizer cannot tell apart, or of more than 4,096 tokens together.
 */
export function encodeQuestion(
  { input, choices }: { readonly input: string; readonly choices: readonly string[] },
  tokenizer: Tokenizer,
): EncodedExample {
  const targets = choices.map((choice) => tokenizer.encode(choice));
  const example = { input: tokenizer.encode(input), targets, correct: 0 };
  const { positions } = distinctChoices(example, choices);
  const same = positions.findIndex((position, index) => positions.indexOf(position) !== index);
  if (same >= 0) {
    const other = positions.indexOf(positions[same] ?? 0);
    throw new CadreError(
      "invalid-argument",
      `choices: expected labels that the base's tokenizer tells apart, got ${JSON.stringify(choices[other])} and ${JSON.stringify(choices[same])}, which are the same tokens`,
    );
  }
  const tokens = targets.reduce((sum, { length }) => sum + length, 0);
  if (tokens > MAX_SCORED_CHOICE_TOKENS) {
    throw new CadreError(
      "invalid-argument",
      `choices: expected at most ${MAX_SCORED_CHOICE_TOKENS} tokens in all of them together, got ${tokens} in ${choices.length}; shorten them or give fewer`,
    );
  }
  return example;
}

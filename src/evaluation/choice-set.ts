import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import type { EncodedExample } from "../mixtures/encoded-example.js";

/** What was found among choices. */
export interface ChoiceCounts {
  /** Texts that equal an earlier one byte by byte. */
  readonly identical: number;
  /** Other texts that have the tokens of an earlier one, so that no model can tell them apart. */
  readonly indistinguishable: number;
  /** Answers without a character that is not white space. */
  readonly empty: number;
}

/** An example whose choices all differ. */
export interface ChoiceSet {
  /** The first of equal choices each, in order; `correct` is that which stands for the right one. */
  readonly example: EncodedExample;
  /** The text of each of its targets. */
  readonly texts: readonly string[];
  /** For each choice given, the position of what stands for it. */
  readonly positions: readonly number[];
  readonly counts: ChoiceCounts;
}

/**
 * The different choices of an example. ELM's rank classification decodes the best option and compares texts, so that equal options are one
 * answer: they are scored once, guessing has a better chance, and whichever of them is right, the one that stands for them is. An empty choice
 * stays: ELM scores it by its end token, which often wins without length normalisation; that is why it is counted.
 *
 * Accepted answers are compared with a prediction by way of `positions`: `texts[positions[i]]` stands for the text of choice `i`.
 * @param choices Their texts, in the order of the example's targets.
 * @throws CadreError `invalid-argument` where there are not as many texts as targets.
 */
export function distinctChoices(example: EncodedExample, choices: readonly string[]): ChoiceSet {
  if (choices.length !== example.targets.length) {
    throw new CadreError(
      "invalid-argument",
      `distinctChoices: expected the text of each of ${example.targets.length} choices, got ${choices.length}`,
    );
  }
  const byTokens = new Map<string, number>();
  const kept: number[] = [];
  const seen = new Set<string>();
  let identical = 0;
  let indistinguishable = 0;
  let empty = 0;
  const positions = choices.map((text, choice) => {
    const tokens = at(example.targets, choice).join();
    const known = byTokens.get(tokens);
    identical += seen.has(text) ? 1 : 0;
    indistinguishable += known !== undefined && !seen.has(text) ? 1 : 0;
    seen.add(text);
    if (known !== undefined) {
      return known;
    }
    empty += text.trim() === "" ? 1 : 0;
    byTokens.set(tokens, kept.length);
    return kept.push(choice) - 1;
  });
  return {
    example: {
      input: example.input,
      targets: kept.map((choice) => at(example.targets, choice)),
      correct: at(positions, example.correct),
    },
    texts: kept.map((choice) => at(choices, choice)),
    positions,
    counts: { identical, indistinguishable, empty },
  };
}

/** Sums of counts, of a whole task for its report. */
export function sumChoiceCounts(all: readonly ChoiceCounts[]): ChoiceCounts {
  const sum = (count: (counts: ChoiceCounts) => number): number => all.reduce((total, one) => total + count(one), 0);
  return {
    identical: sum(({ identical }) => identical),
    indistinguishable: sum(({ indistinguishable }) => indistinguishable),
    empty: sum(({ empty }) => empty),
  };
}

import { at } from "../core/at.js";
import { bestChoice } from "../evaluation/rank-classification.js";
import type { Classification, ScoredChoice } from "./cadre.js";

/**
 * What scores of labels come to.
 * @param logProbabilities in the order of the labels, in nats
 * @throws CadreError `non-finite` for a score that is NaN or infinite.
 */
export function classificationOf(
  choices: readonly string[],
  logProbabilities: ArrayLike<number>,
): Pick<Classification, "choice" | "scores"> {
  const best = bestChoice(logProbabilities);
  // Relative to the best, so that the largest exponential is 1.
  const shares = choices.map((_, index) => Math.exp(at(logProbabilities, index) - at(logProbabilities, best)));
  const total = shares.reduce((sum, share) => sum + share, 0);
  const scores = choices.map(
    (choice, index): ScoredChoice => ({
      choice,
      logProbability: at(logProbabilities, index),
      probability: at(shares, index) / total,
    }),
  );
  return { choice: at(choices, best), scores };
}

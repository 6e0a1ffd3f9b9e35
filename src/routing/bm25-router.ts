import { at } from "../core/at.js";
import { throwIfAborted } from "../core/errors.js";
import { createBm25 } from "./bm25.js";
import { listKeyOwners } from "./key-owners.js";
import type { Router } from "./router.js";
import { DEFAULT_TEXT_FORMAT, formatText, type RoutingText, type TextFormat } from "./text-format.js";
import { createVotingRouter, type VoteOptions } from "./vote.js";

/** An expert and the training inputs that it is found by. */
export interface ExpertTexts {
  readonly id: string;
  readonly texts: readonly RoutingText[];
}

/** Options of {@link createBm25Router}. */
export interface Bm25RouterOptions {
  readonly experts: readonly ExpertTexts[];
  /** Default `choice_instance`. */
  readonly format?: TextFormat;
  readonly vote?: VoteOptions;
}

/**
 * Retrieval of experts by the words that texts share (BM25) instead of embeddings. Needs the keys' texts, which a library keeps only if it was
 * asked to.
 * @throws CadreError `invalid-argument` without experts, for an expert without texts or listed twice, or where no text has a word.
 */
export function createBm25Router({ experts, format = DEFAULT_TEXT_FORMAT, vote }: Bm25RouterOptions): Router {
  const { owners, sorted } = listKeyOwners(experts, ({ texts }) => texts.length);
  const index = createBm25(sorted.flatMap(({ texts }) => texts.map((text) => formatText(text, format))));
  return createVotingRouter({
    format,
    vote,
    find: async (texts, count, { signal }) =>
      texts.map((text) => {
        throwIfAborted(signal);
        const scores = index.scores(text);
        return best(scores, count).map((key) => ({ ...at(owners, key), score: at(scores, key) }));
      }),
  });
}

/** The positions of the `count` largest scores, largest first; of equal ones the first. */
function best(scores: Float64Array, count: number): number[] {
  const found: number[] = [];
  for (const [position, score] of scores.entries()) {
    const last = found.at(-1);
    if (found.length === count && last !== undefined && score <= at(scores, last)) continue;
    let place = found.length;
    while (place > 0 && score > at(scores, at(found, place - 1))) place--;
    found.splice(place, 0, position);
    if (found.length > count) found.pop();
  }
  return found;
}

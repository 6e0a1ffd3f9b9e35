import { at } from "../core/at.js";
import type { BeamAnswer } from "./generation.js";

/** A next token that a beam proposes. */
export interface Candidate {
  readonly id: number;
  /** Its (penalised) log-probability. */
  readonly score: number;
  /** Under the model's own distribution. */
  readonly logProbability: number;
}

/** A partial answer. */
export interface Beam {
  readonly ids: readonly number[];
  readonly logProbabilities: readonly number[];
  /** Sum of the scores of its tokens. */
  readonly score: number;
  /** Position among the beams before of the one that it goes on from. */
  readonly parent: number;
}

/** The search for the answers to one input. */
export interface BeamSearch {
  /** As many as beams, the best first. */
  readonly beams: readonly Beam[];
  /** Nothing that is still followed could be better than the answers. */
  readonly done: boolean;
  /** Follows the beams by a token. @param candidates Of every beam, at least twice as many as beams. */
  advance(candidates: readonly (readonly Candidate[])[]): void;
  /** As many as beams, the best first. To be asked when the search is done. */
  answers(): BeamAnswer[];
}

/** Options of `createBeamSearch`. */
export interface BeamSearchOptions {
  readonly beams: number;
  readonly endId: number;
  readonly maxNewTokens: number;
}

interface Finished extends Pick<Beam, "ids" | "logProbabilities"> {
  /** Mean score of its tokens. */
  readonly score: number;
}

/**
 * Beam search as transformers' `generate` has it with a length penalty of 1 and `early_stopping` off: the best `2 · beams` continuations
 * are looked at; those among the first `beams` that end are answers; the best `beams` that do not end are followed. It is over when there
 * are as many answers as beams and the best beam's mean score does not exceed the worst answer's, or at `maxNewTokens`.
 */
export function createBeamSearch({ beams: count, endId, maxNewTokens }: BeamSearchOptions): BeamSearch {
  let beams: readonly Beam[] = Array.from({ length: count }, (_, parent) => ({
    ...{ ids: [], logProbabilities: [], parent },
    // All start alike: only the first one is continued.
    score: parent === 0 ? 0 : Number.NEGATIVE_INFINITY,
  }));
  let finished: readonly Finished[] = [];
  let done = false;

  return {
    get beams() {
      return beams;
    },
    get done() {
      return done;
    },
    advance(candidates) {
      const proposed = candidates.flatMap((own, parent) =>
        own.map((candidate) => ({ candidate, parent, score: at(beams, parent).score + candidate.score })),
      );
      const continuations = best(proposed, 2 * count).map(({ candidate, parent, score }): Beam => {
        const before = at(beams, parent);
        return {
          ids: [...before.ids, candidate.id],
          logProbabilities: [...before.logProbabilities, candidate.logProbability],
          ...{ score, parent },
        };
      });
      const length = at(beams, 0).ids.length + 1;
      const ends = ({ ids }: Beam): boolean => length >= maxNewTokens || ids.at(-1) === endId;
      const answers = continuations.slice(0, count).filter(ends);
      finished = best([...finished, ...answers.map((answer) => ({ ...answer, score: answer.score / length }))], count);
      const followed = continuations.filter((beam) => !ends(beam)).slice(0, count);
      const [leader] = followed;
      done =
        leader === undefined || (finished.length === count && leader.score / length <= at(finished, count - 1).score);
      beams = done ? beams : followed;
    },
    answers: () =>
      finished.map(({ ids, logProbabilities, score }) => ({
        ids: Int32Array.from(ids),
        logProbabilities: Float32Array.from(logProbabilities),
        score,
        finish: ids.at(-1) === endId ? "end" : "length",
      })),
  };
}

/** The ones with the highest scores, the highest first; of equals, the first. */
function best<Scored extends { readonly score: number }>(scored: readonly Scored[], count: number): Scored[] {
  return [...scored].sort((left, right) => right.score - left.score || 0).slice(0, count);
}

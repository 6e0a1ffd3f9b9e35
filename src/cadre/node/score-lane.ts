import { at } from "../../core/at.js";
import { type ChoiceScorer, createChoiceScorer } from "../../evaluation/score-choices.js";
import type { ScoredRow } from "../../evaluation/score-rows.js";
import type { Row } from "../../experts/rows.js";
import { MAX_SCORED_CHOICE_TOKENS } from "../../mixtures/check-task-trainable.js";
import type { EncodedExample } from "../../mixtures/encoded-example.js";
import type { AnswerGroup, AnsweringExpert } from "../answer-group.js";
import { partsByExperts } from "../expert-stack.js";
import { createModelHolder, type HeldModel, type LaneOptions } from "../held-model.js";
import { createBatcher } from "./batcher.js";
import type { Lane } from "./lanes.js";

/** Most rows of a batch: more would only let the first ones wait for the last. */
const MOST_ROWS = 64;

/** A question with choices. */
export interface ScoreRequest {
  readonly example: EncodedExample;
  /** None is the base. */
  readonly experts: readonly AnsweringExpert[];
}

/** Scores the choices of rows of one group. */
export interface ScoreLane extends Lane {
  /**
   * The log-probabilities of the choices, in nats. Calls that come while others are answered are answered together.
   * @throws CadreError as `ChoiceScorer.score`.
   */
  score(request: ScoreRequest, signal: AbortSignal): Promise<Float64Array>;
}

/** Opens a lane. */
export function createScoreLane(group: AnswerGroup, options: LaneOptions): ScoreLane {
  const holder = createModelHolder(group, options);
  let scorer: { readonly programKey: string; readonly scorer: ChoiceScorer<ScoredRow> } | undefined;

  const scorerOf = async ({ programKey, sources }: HeldModel): Promise<ChoiceScorer<ScoredRow>> => {
    if (scorer?.programKey !== programKey) {
      await scorer?.scorer.close();
      scorer = { programKey, scorer: createChoiceScorer({ ...sources, targetLength: MAX_SCORED_CHOICE_TOKENS }) };
    }
    return scorer.scorer;
  };
  const batcher = createBatcher<ScoreRequest, Float64Array>({
    most: MOST_ROWS,
    answer: async (requests, signal) => {
      const wanted = requests.flatMap(({ experts }) => experts.map(({ expert }) => expert));
      const results: Float64Array[] = [];
      for (const { rows, experts } of partsByExperts(requests, holder.capacity(wanted))) {
        const held = holder.hold(experts);
        const scored = await scorerOf(held);
        const { scores } = await scored.score(
          rows.map((index) => rowOf(at(requests, index), group)),
          { ...held.call, signal },
        );
        for (const [place, index] of rows.entries()) results[index] = at(scores, place);
      }
      return results;
    },
  });
  return {
    score: (request, signal) => batcher.add(request, { signal }),
    close: async () => {
      await scorer?.scorer.close();
    },
  };
}

/** A row that names experts by their keys in the stack; a whole model is itself the scorer's. */
function rowOf({ example, experts }: ScoreRequest, { kind }: AnswerGroup): Row {
  return {
    example,
    experts: kind === "stacked" ? experts.map(({ expert, weight }) => ({ id: expert.key, weight })) : [],
  };
}

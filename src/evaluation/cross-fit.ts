import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import { createRandom } from "../core/random.js";

/**
 * Splits instances at random into two halves; an odd one goes to the first.
 * @param options.stream uint32, so that different tasks are split differently; default 0.
 * @returns for every instance whether it is in the first half
 * @throws CadreError `invalid-argument` for fewer than two instances.
 */
export function drawHalves(
  instances: number,
  { seed, stream = 0 }: { readonly seed: number; readonly stream?: number },
): boolean[] {
  if (!Number.isSafeInteger(instances) || instances < 2) {
    throw new CadreError(
      "invalid-argument",
      `cross-fitting: expected two instances or more, one for each half, got ${instances}`,
    );
  }
  const order = createRandom(seed, stream).shuffle(Array.from({ length: instances }, (_, index) => index));
  const halves = new Array<boolean>(instances).fill(false);
  for (const index of order.slice(0, Math.ceil(instances / 2))) {
    halves[index] = true;
  }
  return halves;
}

/** What candidates reach on a task. */
export interface CandidateScores {
  /** `[candidate][instance]` */
  readonly values: readonly (readonly number[])[];
  /** As from `drawHalves`. */
  readonly inFirstHalf: readonly boolean[];
}

/** What the chosen candidates reach. */
export interface CrossFitted {
  /** `[task][instance]`: of the candidate that was chosen on the other half. */
  readonly values: readonly (readonly number[])[];
  /** The candidate chosen on the first halves, then the one chosen on the second halves. */
  readonly chosen: readonly [number, number];
}

/**
 * Chooses the best candidate without letting it gain from noise: the one with the highest mean (over instances, then over tasks) on the first
 * halves is scored on the second halves, and the other way round. Of equal candidates, the first is chosen.
 * @param tasks One task chooses for itself (an oracle); several choose one candidate for all of them (the best single one).
 * @throws CadreError `invalid-argument` unless every task has scores of the same candidates on all of its instances, and both halves.
 */
export function crossFit(tasks: readonly CandidateScores[]): CrossFitted {
  const candidates = tasks[0]?.values.length ?? 0;
  tasks.forEach(({ values, inFirstHalf }, task) => {
    const complete = values.length === candidates && values.every(({ length }) => length === inFirstHalf.length);
    if (candidates === 0 || !complete || !inFirstHalf.includes(true) || !inFirstHalf.includes(false)) {
      throw new CadreError(
        "invalid-argument",
        `cross-fitting: task ${task}: expected scores of ${Math.max(1, candidates)} candidates on the ${inFirstHalf.length} instances of two halves, got ${values.map(({ length }) => length).join(", ") || "none"}`,
      );
    }
  });
  if (tasks.length === 0) {
    throw new CadreError("invalid-argument", "cross-fitting: expected at least one task, got none");
  }
  const chosen = [bestOn(tasks, candidates, true), bestOn(tasks, candidates, false)] as const;
  return {
    chosen,
    values: tasks.map(({ values, inFirstHalf }) =>
      inFirstHalf.map((isFirst, instance) => at(at(values, isFirst ? chosen[1] : chosen[0]), instance)),
    ),
  };
}

function bestOn(tasks: readonly CandidateScores[], candidates: number, firstHalf: boolean): number {
  let best = { candidate: 0, score: Number.NEGATIVE_INFINITY };
  for (let candidate = 0; candidate < candidates; candidate++) {
    let score = 0;
    for (const { values, inFirstHalf } of tasks) {
      const half = at(values, candidate).filter((_, instance) => inFirstHalf[instance] === firstHalf);
      score += half.reduce((sum, value) => sum + value, 0) / half.length;
    }
    if (score > best.score) {
      best = { candidate, score };
    }
  }
  return best.candidate;
}

import { CadreError } from "../core/errors.js";
import { evaluateSystems } from "../evaluation/evaluate-systems.js";
import { evaluationTaskOf } from "../evaluation/evaluation-task.js";
import { openResultsStore } from "../evaluation/node/results-store.js";
import type { EvaluationResults } from "../evaluation/results-schema.js";
import type { EvaluationTask } from "../evaluation/results-task.js";
import type { TrainedSystem } from "../evaluation/trained-system.js";
import type { Router } from "../routing/router.js";
import type { UserTask } from "../tasks/user-task.js";
import type { ElmContext } from "./elm-context.js";

/** Answers between two lines of progress. */
const TOLD_CELLS = 50;

/** Who is judged on what. */
export interface ElmEvaluation {
  /** In progress lines. */
  readonly name: string;
  readonly seed: number;
  readonly tasks: readonly EvaluationTask[];
  readonly experts: readonly TrainedSystem[];
  readonly multitask?: TrainedSystem | undefined;
  readonly multitaskOneBudget?: TrainedSystem | undefined;
  readonly router?: Router;
}

/** The test rows of a task, all of them. @throws CadreError `invalid-argument` where there are fewer than two instances. */
export function judgedRows(task: UserTask, suite: EvaluationTask["suite"]): EvaluationTask {
  const result = evaluationTaskOf(task, { suite, seed: 0 });
  if (result.task === undefined) throw new CadreError("invalid-argument", result.reason);
  return result.task;
}

/** Lets systems answer tasks; what one of the study's processes has answered is not computed again. */
export async function evaluateElm(
  context: ElmContext,
  { name, seed, tasks, experts, multitask, multitaskOneBudget, router }: ElmEvaluation,
): Promise<EvaluationResults> {
  const { device, base, baseSha256, tokenizer, folder, onProgress } = context;
  const { inputLength } = context.settings;
  const settings = { normalization: "none", inputLength };
  const store = await openResultsStore(`${folder}/answers`, { base: baseSha256, settings });
  let cells = 0;
  return evaluateSystems({
    ...{ device, model: base.model, weights: base.weights, tokenizer, baseSha256, settings, store, inputLength },
    ...{ trainingSeed: seed, tasks, experts },
    ...(multitask === undefined ? {} : { multitask }),
    ...(multitaskOneBudget === undefined ? {} : { multitaskOneBudget }),
    ...(router === undefined ? {} : { router }),
    onEvent: (event) => {
      if (event.type === "cell-end" && ++cells % TOLD_CELLS === 0) {
        onProgress(`seed ${seed}: ${name}: ${event.done} of ${event.total} answers`);
      }
    },
  });
}

import { CadreError } from "../core/errors.js";
import type { EvaluationResults } from "../evaluation/results-schema.js";
import type { EvaluationTask } from "../evaluation/results-task.js";
import { generatedUserTask } from "../tasks/generated/generated-user-task.js";
import { findGeneratedTask } from "../tasks/generated/index.js";
import type { ElmContext } from "./elm-context.js";
import { evaluateElm, judgedRows } from "./elm-evaluate.js";
import { trainElm } from "./elm-experts.js";
import { baseTensors, mergedSystem } from "./elm-merging.js";
import { composedSteps } from "./elm-settings.js";

/** The seed of generated rows: the same for all training seeds. */
const ROWS_SEED = 1;
/** Factors of both parts' task vectors: their mean, and their sum (Ilharco et al.). */
const FACTORS = { "merged-mean": 0.5, "merged-sum": 1 } as const;

/** Ids of the systems that answer a composed task. */
export const composedSystems = ["first", "second", "merged-mean", "merged-sum"] as const;

/** Two experts of generated tasks, merged, on the task that chains both; beside them the multitask model of the two. */
export async function evaluateComposed(
  context: ElmContext,
  { seed, name }: { readonly seed: number; readonly name: string },
): Promise<EvaluationResults> {
  const composed = findGeneratedTask(name);
  if (composed.composes === undefined) {
    throw new CadreError("invalid-argument", `${name}: expected a task that is composed of two`);
  }
  const rows = { seed: ROWS_SEED, ...context.settings.composedRows };
  const parts = composed.composes.map((part) => generatedUserTask(findGeneratedTask(part), rows));
  const trained = await trainElm(context, {
    seed,
    name: `composed-${name.replaceAll("/", "-")}`,
    tasks: parts,
    steps: composedSteps(context.settings),
    mode: "both",
    per: "task",
  });
  const base = await baseTensors(context);
  const { experts, multitask, multitaskOneBudget } = trained;
  const [first, second] = composed.composes.map((part) => experts.find(({ task }) => task === part));
  if (first === undefined || second === undefined)
    throw new CadreError("internal", `elm: ${name}: expected both experts`);
  const merged = await Promise.all(
    Object.entries(FACTORS).map(([id, lambda]) => mergedSystem(id, [first, second], { lambda, base })),
  );
  return evaluateElm(context, {
    name,
    seed,
    tasks: [writtenTask(judgedRows(generatedUserTask(composed, rows), "unseen"))],
    experts: [{ ...first, id: "first" }, { ...second, id: "second" }, ...merged],
    multitask,
    multitaskOneBudget,
  });
}

/** Written answers are judged by ROUGE-L, as the paper's compositional tasks are. */
function writtenTask(task: EvaluationTask): EvaluationTask {
  return task.metric === "exact match" ? { ...task, metric: "ROUGE-L" } : task;
}

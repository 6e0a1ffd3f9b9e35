import { CadreError } from "../core/errors.js";
import type { EvaluationResults } from "../evaluation/results-schema.js";
import type { EvaluationTask } from "../evaluation/results-task.js";
import type { Composition } from "./elm-compositions.js";
import type { ElmContext } from "./elm-context.js";
import { evaluateElm, judgedRows } from "./elm-evaluate.js";
import { trainElm } from "./elm-experts.js";
import { baseTensors, mergedSystem } from "./elm-merging.js";
import { composedSteps } from "./elm-settings.js";

/** Factors of both parts' task vectors: their mean, and their sum (Ilharco et al.). */
const FACTORS = { "merged-mean": 0.5, "merged-sum": 1 } as const;

/** Ids of the systems that answer a composed task. */
export const composedSystems = ["first", "second", "merged-mean", "merged-sum"] as const;

/** The experts of both parts, merged, on the task that takes both; beside them the multitask model of the two. */
export async function evaluateComposed(
  context: ElmContext,
  { seed, composition }: { readonly seed: number; readonly composition: Composition },
): Promise<EvaluationResults> {
  const { name, parts, composed } = composition;
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
  const [first, second] = parts.map((part) => experts.find(({ task }) => task === part.name));
  if (first === undefined || second === undefined)
    throw new CadreError("internal", `elm: ${name}: expected both experts`);
  const merged = await Promise.all(
    Object.entries(FACTORS).map(([id, lambda]) => mergedSystem(id, [first, second], { lambda, base })),
  );
  return evaluateElm(context, {
    name,
    seed,
    tasks: [writtenTask(judgedRows(composed, "unseen"))],
    experts: [{ ...first, id: "first" }, { ...second, id: "second" }, ...merged],
    multitask,
    multitaskOneBudget,
  });
}

/** Written answers are judged by ROUGE-L, as the paper's compositional tasks are. */
function writtenTask(task: EvaluationTask): EvaluationTask {
  return task.metric === "exact match" ? { ...task, metric: "ROUGE-L" } : task;
}

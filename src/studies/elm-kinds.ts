import type { EvaluationResults } from "../evaluation/results-schema.js";
import type { EvaluationTask } from "../evaluation/results-task.js";
import type { ElmContext, ElmTrained } from "./elm-context.js";
import { evaluateElm } from "./elm-evaluate.js";
import { trainSets } from "./elm-experts.js";

/** Kinds of deltas that are compared, at equal steps. */
export const elmKinds = ["full", "lora", "bottleneck"] as const;
/** One of {@link elmKinds}. */
export type ElmKind = (typeof elmKinds)[number];

/** Experts of some data sets by kind, judged on these sets; those of all weights are there already. */
export async function evaluateKinds(
  context: ElmContext,
  options: { readonly seed: number; readonly full: ElmTrained; readonly tasks: readonly EvaluationTask[] },
): Promise<Readonly<Record<ElmKind, EvaluationResults>>> {
  const { seed, full, tasks } = options;
  const { kindSets } = context.settings;
  const sets = context.tasks.train.filter(({ name }) => kindSets.includes(name));
  const judged = tasks.filter(({ name }) => kindSets.includes(name));
  const evaluate = async (kind: ElmKind): Promise<EvaluationResults> => {
    const { experts } = kind === "full" ? full : await trainSets(context, { seed, kind, tasks: sets });
    const own = experts.filter(({ task }) => kindSets.includes(task));
    return evaluateElm(context, { name: `${kind} experts`, seed, tasks: judged, experts: own });
  };
  return { full: await evaluate("full"), lora: await evaluate("lora"), bottleneck: await evaluate("bottleneck") };
}

import type { RouteOptions, Router } from "./router.js";
import type { RoutingText } from "./text-format.js";

/** Texts of a task and the expert that was trained on it. */
export interface SeenTask {
  readonly expert: string;
  /** Inputs that are no keys. */
  readonly texts: readonly RoutingText[];
}

/** How routing treated a task. */
export interface TaskRetrieval {
  readonly expert: string;
  /** Texts that were routed one by one. */
  readonly queries: number;
  /** Of these, how many to each expert, most first; those to none are left out. */
  readonly routedTo: readonly { readonly id: string; readonly queries: number }[];
  /** The task's own expert among them. */
  readonly correct: number;
  /** The expert that the vote over the task chose. */
  readonly voted: string | undefined;
}

/** How often seen tasks find their own expert. */
export interface RetrievalAccuracy {
  /** Mean over tasks of the share of texts that alone find their task's expert, 0 to 1; chance is 1 / experts. */
  readonly byText: number;
  /** Share of tasks whose vote finds their expert, 0 to 1. */
  readonly byTask: number;
  readonly tasks: readonly TaskRetrieval[];
}

/**
 * Measures routing on tasks whose expert is known. Tasks without texts are left out; without any, both shares are NaN.
 * @throws CadreError as the router's calls do.
 */
export async function measureRetrieval(
  router: Router,
  tasks: readonly SeenTask[],
  options: RouteOptions = {},
): Promise<RetrievalAccuracy> {
  const measured: TaskRetrieval[] = [];
  for (const { expert, texts } of tasks) {
    if (texts.length === 0) continue;
    const counts = new Map<string, number>();
    for (const routing of await router.routeEach(texts, options)) {
      const id = routing.ranking[0]?.id;
      if (id !== undefined) counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    const { ranking } = await router.routeTask(texts, options);
    measured.push({
      expert,
      queries: texts.length,
      routedTo: [...counts]
        .map(([id, queries]) => ({ id, queries }))
        .sort((left, right) => right.queries - left.queries),
      correct: counts.get(expert) ?? 0,
      voted: ranking[0]?.id,
    });
  }
  const mean = (share: (task: TaskRetrieval) => number): number =>
    measured.reduce((sum, task) => sum + share(task), 0) / measured.length;
  return {
    byText: mean(({ correct, queries }) => correct / queries),
    byTask: mean(({ expert, voted }) => (voted === expert ? 1 : 0)),
    tasks: measured,
  };
}

import { at } from "../core/at.js";
import { CadreError, throwIfAborted } from "../core/errors.js";
import { groupBy } from "../core/group-by.js";
import type { RankedExpert, Router, Routing } from "../routing/router.js";
import { countVotes } from "../routing/vote.js";
import type { EvaluationResults } from "./results-schema.js";
import { type EvaluationTask, unlabelledRows } from "./results-task.js";

/** Experts of a merge: as many of those with most votes. */
const MERGED_EXPERTS = 3;

/** How the rows of a task are routed. */
export interface RoutedTask {
  /** For each row the expert that answers it; none is the base. */
  readonly route: EvaluationResults["routes"][number];
  /** Of an unseen task the three experts with most votes of all templates together, or as many as there are. */
  readonly top?: readonly string[];
}

/** What the rows of a task voted for. */
export interface TaskVote {
  /** For each row the routing of its template. */
  readonly routings: readonly Routing[];
  /** Every expert with a vote of any template, most votes first; of equal ones the one that was voted for first. */
  readonly ranking: readonly RankedExpert[];
}

/** One vote for each template of a task, over the rows that it shows (RoE). The router gets no labels. @throws CadreError as the router does. */
export async function voteByTemplate(
  task: EvaluationTask,
  { router, signal }: { readonly router: Router; readonly signal?: AbortSignal | undefined },
): Promise<TaskVote> {
  const texts = unlabelledRows(task);
  const call = signal === undefined ? {} : { signal };
  const byTemplate = new Map<string, Routing>();
  for (const [template, rows] of groupBy(texts.keys(), (row) => at(task.rows, row).template)) {
    byTemplate.set(
      template,
      await router.routeTask(
        rows.map((row) => at(texts, row)),
        call,
      ),
    );
  }
  return {
    routings: task.rows.flatMap(({ template }) => byTemplate.get(template) ?? []),
    ranking: countVotes(
      [...byTemplate.values()].flatMap(({ trace }) => trace),
      1,
    ).ranking,
  };
}

/**
 * Routes tasks as they would be used: each row of a seen task by itself, as a server does; the rows of an unseen task by one vote for each template (RoE),
 * for one expert that answers all rows of that template. The router gets no labels.
 * @throws CadreError `invalid-argument` where the router picks an expert that is not among those, or several for a row; `aborted`.
 */
export async function routeTask(
  task: EvaluationTask,
  options: { readonly router: Router; readonly experts: ReadonlySet<string>; readonly signal: AbortSignal | undefined },
): Promise<RoutedTask> {
  const { router, experts, signal } = options;
  throwIfAborted(signal);
  const pick = (routing: Routing): { id: string; weight: number }[] => {
    expectOne(routing, { task: task.name, experts });
    return routing.experts.map(({ id, weight }) => ({ id, weight }));
  };
  if (task.suite === "seen") {
    const routings = await router.routeEach(unlabelledRows(task), signal === undefined ? {} : { signal });
    return { route: { task: task.name, rows: routings.map(pick) } };
  }
  const { routings, ranking } = await voteByTemplate(task, { router, signal });
  return {
    route: { task: task.name, rows: routings.map(pick) },
    top: ranking.slice(0, MERGED_EXPERTS).map(({ id }) => id),
  };
}

function expectOne(
  { experts: picked, ranking }: Routing,
  { task, experts }: { readonly task: string; readonly experts: ReadonlySet<string> },
): void {
  if (picked.length > 1 || picked.some(({ weight }) => weight !== 1)) {
    throw new CadreError(
      "invalid-argument",
      `evaluation: task "${task}": expected a router that picks one expert with weight 1, got ${picked.map(({ id, weight }) => `${id} × ${weight}`).join(", ")}`,
    );
  }
  const foreign = [...picked, ...ranking].find(({ id }) => !experts.has(id));
  if (foreign !== undefined) {
    throw new CadreError(
      "invalid-argument",
      `evaluation: task "${task}": expected a router whose candidates are the experts of the evaluation, got "${foreign.id}"`,
    );
  }
}

import { groupBy } from "../core/group-by.js";
import type { EvaluationResults } from "../evaluation/results-schema.js";
import type { UserTask } from "../tasks/user-task.js";

/** Names of tasks whose judged rows all have the same answer, by every template: there, a model that always gives that answer would be taken for a good one. */
export function oneAnswerTasks(tasks: readonly Pick<UserTask, "name" | "splits">[]): string[] {
  return tasks
    .filter(({ splits }) =>
      [...groupBy(splits.test, ({ template }) => template).values()].every(
        (rows) => new Set(rows.map(({ targets }) => targets[0])).size === 1,
      ),
    )
    .map(({ name }) => name);
}

/** Results as if some tasks had not been judged. */
export function withoutTasks(results: EvaluationResults, names: readonly string[]): EvaluationResults {
  return {
    ...results,
    tasks: results.tasks.filter(({ name }) => !names.includes(name)),
    routes: results.routes.filter(({ task }) => !names.includes(task)),
    cells: results.cells.filter(({ task }) => !names.includes(task)),
  };
}

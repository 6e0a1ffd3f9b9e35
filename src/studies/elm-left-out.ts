import { groupBy } from "../core/group-by.js";
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

import type { ExpertRecipeName } from "../experts/expert-recipe.js";
import type { TaskCheck } from "../mixtures/task-check.js";
import type { SkippedFile } from "../tasks/node/find-user-tasks.js";
import type { FailedTask } from "../tasks/node/read-user-tasks.js";

/** What `cadre check PATH…` found; its JSON with `--json`. */
export interface TasksCheck {
  readonly format: "cadre-task-check";
  readonly formatVersion: 1;
  readonly paths: readonly string[];
  /** Whose tokenizer counted. */
  readonly base: string;
  /** Whose lengths and numbers of rows were checked against. */
  readonly recipe: ExpertRecipeName;
  readonly seed: number;
  readonly tasks: readonly TaskCheck[];
  readonly failed: readonly FailedTask[];
  readonly skipped: readonly SkippedFile[];
  /** Failed tasks, and findings that call for mending. */
  readonly problems: number;
}

import { CadreError, type ErrorCode, throwIfAborted } from "../../core/errors.js";
import type { ExpertRecipe } from "../../experts/expert-recipe.js";
import { expertId, newExpertName } from "../../library/expert-name.js";
import type { ModelFolder } from "../../models/node/model-folder.js";
import type { UserTask } from "../../tasks/user-task.js";
import type { Tokenizer } from "../../tokenizers/tokenizer.js";
import { expertNameOf, joinTrainingData, type UserTrainingData, userTrainingData } from "../user-training-data.js";
import { type PreparedTraining, prepareTraining } from "./expert-training.js";

/** The name of the multitask model in a library. */
export const MULTITASK = "multitask";
/** The name of the multitask model that had one expert's budget. */
export const MULTITASK_ONE_BUDGET = "multitask, one budget";

/** What is trained, and from what. */
export interface LibrarySources {
  readonly tasks: readonly UserTask[];
  readonly recipe: ExpertRecipe;
  /** One expert for each task (or template), one model for all, or both. */
  readonly mode: "experts" | "multitask" | "both";
  /** Of a task with several templates: one expert for all, or one for each. */
  readonly per: "task" | "template";
}

/** What one expert is trained on. */
export interface LibraryPart {
  /** Of the expert. */
  readonly name: string;
  readonly task: string;
  /** The only template that it knows. */
  readonly template?: string;
  readonly data: UserTrainingData;
  readonly prepared: PreparedTraining;
}

/** A task that nothing can be trained on, and why. */
export interface FailedPart {
  /** Of the expert. */
  readonly task: string;
  readonly reason: string;
}

/** Errors of one task's data or training, beside which the others go on; what is wrong with disk or device is wrong for all. */
const TASK_ERRORS: ReadonlySet<ErrorCode> = new Set([
  "already-exists",
  "invalid-argument",
  "invalid-config",
  "invalid-file",
  "mismatch",
  "non-finite",
  "out-of-memory",
  "unsupported",
]);

/** Why a task fails, for errors beside which the others go on. @throws every other error. */
export function taskFailure(error: unknown): string {
  if (CadreError.isInstance(error) && TASK_ERRORS.has(error.code)) return error.message;
  throw error;
}

/**
 * Encodes the tasks and works out the experts' trainings, in the order of the tasks.
 * @throws CadreError `aborted`.
 */
export async function prepareParts(
  { tasks, recipe, mode, per }: LibrarySources,
  options: { readonly base: ModelFolder; readonly tokenizer: Tokenizer; readonly signal?: AbortSignal | undefined },
): Promise<{ readonly parts: readonly LibraryPart[]; readonly failed: readonly FailedPart[] }> {
  const { base, tokenizer, signal } = options;
  const parts: LibraryPart[] = [];
  const failed: FailedPart[] = [];
  const taken = new Map(mode === "experts" ? [] : [[await expertId(MULTITASK), "the multitask model"]]);
  for (const { task, template } of wanted(tasks, per)) {
    throwIfAborted(signal);
    const name = expertNameOf(task, template);
    try {
      const id = await expertId(newExpertName(name));
      const other = taken.get(id);
      if (other !== undefined) {
        throw new CadreError(
          "invalid-argument",
          `${name}: expected a name of its own, found that of ${other}; rename the task`,
        );
      }
      taken.set(id, "another task");
      const data = await userTrainingData(task, { recipe, tokenizer, ...(template === undefined ? {} : { template }) });
      const shown = template === undefined ? undefined : task.templates[template]?.name;
      parts.push({
        name,
        task: task.name,
        ...(shown === undefined ? {} : { template: shown }),
        data,
        prepared: prepareTraining(base, { data, recipe }),
      });
    } catch (error) {
      failed.push({ task: name, reason: taskFailure(error) });
    }
  }
  return { parts, failed };
}

/** The training of one model on the rows of several experts, for a number of steps. */
export async function prepareMultitask(
  parts: readonly Pick<LibraryPart, "data">[],
  options: {
    readonly name: string;
    readonly base: Pick<ModelFolder, "model">;
    readonly recipe: ExpertRecipe;
    readonly steps: number;
  },
): Promise<PreparedTraining> {
  const { name, base, steps } = options;
  const { epochs: _, ...recipe } = options.recipe;
  const data = await joinTrainingData(
    parts.map((part) => part.data),
    { name, seed: recipe.seed },
  );
  return prepareTraining(base, { data, recipe: { ...recipe, steps } });
}

/** The steps of both multitask models: the sum of the experts', and one expert's, which is their mean rounded up. */
export function multitaskSteps(steps: readonly number[]): { readonly all: number; readonly one: number } {
  const all = steps.reduce((sum, count) => sum + count, 0);
  return { all, one: Math.ceil(all / steps.length) };
}

function wanted(
  tasks: readonly UserTask[],
  per: LibrarySources["per"],
): { readonly task: UserTask; readonly template?: number }[] {
  return tasks.flatMap((task) =>
    per === "task" || task.templates.length === 1
      ? [{ task }]
      : task.templates.map((_, template) => ({ task, template })),
  );
}

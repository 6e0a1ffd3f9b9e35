import { basename, join, resolve } from "node:path";
import { type EventHandler, emit } from "../../core/events.js";
import { parseConfig } from "../../core/parse-config.js";
import type { Comparison } from "../../evaluation/comparison.js";
import type { EvaluationEvent } from "../../evaluation/evaluate-systems.js";
import type { EvaluationResults } from "../../evaluation/results-schema.js";
import {
  type ExpertRecipe,
  type ExpertRecipeName,
  expertRecipeSchema,
  expertRecipes,
} from "../../experts/expert-recipe.js";
import type { HubEvent } from "../../models/node/hub-snapshot.js";
import { PACKAGED_BASE, resolveBase } from "../../models/node/resolve-base.js";
import { comparisonReport } from "../../report/comparison-report.js";
import { writeReport } from "../../report/node/write-report.js";
import type { Device } from "../../runtime/device.js";
import { openDevice } from "../../runtime/node/open-device.js";
import type { SkippedFile } from "../../tasks/node/find-user-tasks.js";
import {
  type FailedTask,
  type ReadUserTasksOptions,
  readUserTasks,
  type UserTasks,
} from "../../tasks/node/read-user-tasks.js";
import { countProblems, countRows, type UserTask } from "../../tasks/user-task.js";
import type { TrainIntoLibraryEvent } from "../library-events.js";
import { type JudgedLibrary, judgeLibrary, type TaskNotJudgedEvent } from "./judge-library.js";
import { type TrainIntoLibraryOptions, type TrainIntoLibraryResult, trainIntoLibrary } from "./train-into-library.js";

/** Sent when the tasks have been read. */
export interface TasksReadEvent {
  readonly type: "tasks-read";
  readonly tasks: readonly UserTask[];
  /** Those that could not be read at all. */
  readonly failed: readonly FailedTask[];
  /** Files that belong to no task. */
  readonly skipped: readonly SkippedFile[];
}

/** Sent when judging begins. */
export interface JudgingStartEvent {
  readonly type: "judging-start";
}

/** What `trainExperts` tells its handler. */
export type TrainExpertsEvent =
  | HubEvent
  | TasksReadEvent
  | TrainIntoLibraryEvent
  | JudgingStartEvent
  | TaskNotJudgedEvent
  | EvaluationEvent;

/** Options of {@link trainExperts}. */
export interface TrainExpertsOptions extends Omit<ReadUserTasksOptions, "seed" | "signal"> {
  /** Folder of the library; made if it is not there. */
  readonly library: string;
  /** A model folder, `cadre-mini` (default), or an id on the Hugging Face Hub. */
  readonly base?: string;
  /** A named recipe (default `mini`), or a whole one. */
  readonly recipe?: ExpertRecipeName | ExpertRecipe;
  /** Steps of each expert, 1 or more; default: the recipe's. */
  readonly steps?: number;
  /** `both` (default): the comparison of experts with one multitask model needs it. */
  readonly mode?: TrainIntoLibraryOptions["mode"];
  /** One expert for each task (default), or for each of its templates. */
  readonly per?: TrainIntoLibraryOptions["per"];
  /** Replace experts of the same name from other data or another recipe; default false: these tasks fail and say so. */
  readonly replace?: boolean;
  /** Whether the texts of keys are stored in the library beside their vectors; default `none`. */
  readonly keyTexts?: TrainIntoLibraryOptions["keyTexts"];
  /** Folder for checkpoints, answers and the report; default `runs/<name of the library>`. The same call goes on with what it finds there. */
  readonly runFolder?: string;
  /** Tasks that are judged and not trained on. */
  readonly unseen?: readonly UserTask[];
  /** Default: the processor with all cores, opened for this call. */
  readonly device?: Device;
  /** Fetch nothing. */
  readonly offline?: boolean;
  /** Stops with a checkpoint. */
  readonly signal?: AbortSignal;
  readonly onEvent?: EventHandler<TrainExpertsEvent>;
}

/** What {@link trainExperts} returns. */
export interface TrainExpertsReport {
  /** Absolute paths. */
  readonly library: string;
  readonly runFolder: string;
  /** Ids of the experts of these tasks, those that were there already included. */
  readonly experts: readonly string[];
  /** Tasks without an expert, and why. */
  readonly failed: readonly { readonly task: string; readonly reason: string }[];
  /** Every answer, and what they come to; absent where no task could be judged. */
  readonly judged?: {
    readonly results: EvaluationResults;
    readonly comparison: Comparison;
    /** Paths of all answers, and of the page. */
    readonly resultsFile: string;
    readonly page: string;
  };
  readonly seconds: number;
}

/**
 * Trains one expert for each of a person's tasks (files and folders, see docs/your-data.md, or tasks that were read already), and a multitask model
 * of equal compute, puts them into a library, and compares base, multitask model, each task's own expert and the routed one on test rows.
 * @throws CadreError as `readUserTasks`, `resolveBase`, `trainIntoLibrary` and `judgeLibrary`; a task that fails is reported beside the others.
 */
export async function trainExperts(
  tasks: string | readonly string[] | readonly UserTask[],
  options: TrainExpertsOptions,
): Promise<TrainExpertsReport> {
  const started = performance.now();
  const { signal, onEvent, templates, choices, strict, mode = "both", per = "task", keyTexts = "none" } = options;
  const recipe = wholeRecipe(options.recipe ?? "mini", options.steps);
  const library = resolve(options.library);
  const runFolder = resolve(options.runFolder ?? join("runs", basename(library)));
  const read = await readTasks(tasks, {
    seed: recipe.seed,
    ...(templates === undefined ? {} : { templates }),
    ...(choices === undefined ? {} : { choices }),
    ...(strict === undefined ? {} : { strict }),
    ...(signal === undefined ? {} : { signal }),
  });
  emit(onEvent, { type: "tasks-read", ...read });
  const name = options.base ?? PACKAGED_BASE;
  const folder = await resolveBase(name, {
    ...(options.offline === undefined ? {} : { offline: options.offline }),
    ...(signal === undefined ? {} : { signal }),
    ...(onEvent === undefined ? {} : { onProgress: onEvent }),
  });
  const base = { name: resolve(name) === folder ? folder : name, folder };
  await using ownDevice = options.device === undefined ? await openDevice() : undefined;
  const device = options.device ?? ownDevice;
  if (device === undefined) throw new TypeError("a device is given or opened");
  const common = {
    device,
    library,
    base,
    recipe,
    runFolder,
    ...(signal === undefined ? {} : { signal }),
    ...(onEvent === undefined ? {} : { onEvent }),
  };
  const trained = await trainIntoLibrary({
    ...common,
    ...{ tasks: read.tasks, mode, per, keyTexts, replace: options.replace ?? false, strict: strict ?? false },
  });
  emit(onEvent, { type: "judging-start" });
  const judged = await judgeLibrary({ ...common, tasks: read.tasks, unseen: options.unseen ?? [], trained });
  const written =
    judged === undefined
      ? undefined
      : await writeReport(
          comparisonReport(judged.comparison, {
            title: "Experts, one multitask model, and the base",
            subtitle: basename(library),
            text: whatWasDone({ trained, read, recipe, judged, base: name }),
          }),
          { folder: runFolder },
        );
  return {
    library,
    runFolder,
    experts: trained.experts.map(({ id }) => id),
    failed: [...read.failed.map((task) => ({ task: task.name, reason: task.reason })), ...trained.failed],
    ...(judged === undefined || written === undefined
      ? {}
      : {
          judged: {
            results: judged.results,
            comparison: judged.comparison,
            resultsFile: judged.file,
            page: written.html,
          },
        }),
    seconds: (performance.now() - started) / 1000,
  };
}

/** @throws CadreError `invalid-argument` for a number of steps that is none. */
function wholeRecipe(wanted: ExpertRecipeName | ExpertRecipe, steps: number | undefined): ExpertRecipe {
  const recipe = typeof wanted === "string" ? expertRecipeSchema.parse(expertRecipes[wanted]) : wanted;
  if (steps === undefined) return recipe;
  const { epochs: _, ...rest } = recipe;
  const shorter = { ...rest, steps, warmupSteps: Math.min(steps, recipe.warmupSteps) };
  return parseConfig(expertRecipeSchema, shorter, { where: "trainExperts: steps", code: "invalid-argument" });
}

async function readTasks(
  tasks: string | readonly string[] | readonly UserTask[],
  options: ReadUserTasksOptions,
): Promise<UserTasks> {
  if (typeof tasks === "string") return readUserTasks(tasks, options);
  const paths = tasks.filter((task) => typeof task === "string");
  const given = tasks.filter((task) => typeof task !== "string");
  return given.length > 0 || paths.length === 0
    ? { tasks: given, failed: [], skipped: [] }
    : readUserTasks(paths, options);
}

function whatWasDone({
  trained,
  read: { tasks, skipped },
  recipe,
  judged: { mostRows, earlier, leftOut },
  base,
}: {
  readonly trained: TrainIntoLibraryResult;
  readonly read: UserTasks;
  readonly recipe: ExpertRecipe;
  readonly judged: JudgedLibrary;
  readonly base: string;
}): string {
  const rows = tasks.reduce((sum, task) => sum + countRows(task.splits.train), 0);
  const bad = tasks.reduce((sum, task) => sum + countProblems(task), 0);
  const shared = countSharedInputs(tasks);
  const steps = trained.experts.map((expert) => expert.steps);
  const [least, most] = [Math.min(...steps), Math.max(...steps)];
  const rowsOf = `${rows} training rows of ${tasks.length} tasks`;
  return [
    steps.length === 0
      ? `On the base ${base}, with ${rowsOf}.`
      : `${steps.length} experts (${recipe.delta.kind}) on the base ${base}, ${least === most ? most : `${least} to ${most}`} steps each, from ${rowsOf}.`,
    ...(bad > 0 ? [`${bad} bad rows were left out.`] : []),
    ...(skipped.length > 0 ? [`Not read: ${skipped.map(({ file }) => file).join(", ")}.`] : []),
    ...(trained.failed.length > 0
      ? [`Without an expert: ${trained.failed.map(({ task, reason }) => `${task} (${reason})`).join("; ")}.`]
      : []),
    ...(trained.multitask === undefined
      ? []
      : [
          `The multitask model had the sum of their steps (${trained.multitask.steps}) on the same rows; "one budget" means the steps of one expert (${trained.multitaskOneBudget?.steps ?? "none"}).`,
        ]),
    `Judged on test rows, at most ${mostRows} a task; the trainings used none of them.`,
    ...(shared > 0
      ? [
          `${shared} test rows have the input of another task's training row: the multitask models and the other expert have read it, with another task's answer.`,
        ]
      : []),
    ...(earlier.length > 0
      ? [
          `Candidates besides: ${earlier.length} experts that the library had of other tasks; what they were trained on was not compared with these rows.`,
        ]
      : []),
    ...(leftOut.length > 0
      ? [`Left out: ${leftOut.join(", ")}, of these tasks but trained on other rows, among which may be test rows.`]
      : []),
  ].join(" ");
}

/** Test rows whose input, but for case and white space, is one that another task is trained on. */
function countSharedInputs(tasks: readonly UserTask[]): number {
  const plain = ({ input }: { readonly input: string }): string => input.toLowerCase().replace(/\s+/gu, " ").trim();
  /** By input the only task that is trained on it; `several` where more are. */
  const trained = new Map<string, UserTask | "several">();
  for (const task of tasks) {
    for (const input of task.splits.train.map(plain)) {
      const found = trained.get(input) ?? task;
      trained.set(input, found === task ? task : "several");
    }
  }
  const isShared = (task: UserTask, input: string): boolean => (trained.get(input) ?? task) !== task;
  return tasks.reduce(
    (sum, task) => sum + countRows(task.splits.test.filter((example) => isShared(task, plain(example)))),
    0,
  );
}

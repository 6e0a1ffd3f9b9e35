import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type EventHandler, emit } from "../../core/events.js";
import { sha256 } from "../../core/hash.js";
import { type Comparison, compare } from "../../evaluation/comparison.js";
import { type EvaluationEvent, evaluateSystems } from "../../evaluation/evaluate-systems.js";
import { type EvaluationTaskResult, evaluationTaskOf } from "../../evaluation/evaluation-task.js";
import { writeResults } from "../../evaluation/node/results-file.js";
import { openResultsStore } from "../../evaluation/node/results-store.js";
import type { EvaluationIdentity, EvaluationResults } from "../../evaluation/results-schema.js";
import type { EvaluationTask } from "../../evaluation/results-task.js";
import type { TrainedSystem } from "../../evaluation/trained-system.js";
import type { ExpertRecipe } from "../../experts/expert-recipe.js";
import { type Library, openLibrary } from "../../library/node/library.js";
import type { Model } from "../../models/model.js";
import { openModelFolder } from "../../models/node/model-folder.js";
import type { Device } from "../../runtime/device.js";
import type { UserTask } from "../../tasks/user-task.js";
import { openTokenizer } from "../../tokenizers/node/open-tokenizer.js";
import { storedSystem } from "../stored-system.js";
import { openKeyMaker } from "./expert-key-maker.js";
import { openLibraryRouter } from "./library-router.js";
import type { TrainIntoLibraryResult } from "./train-into-library.js";

/** Answers of all systems together, above which fewer rows of each task are judged. */
const MOST_ANSWERS = 100_000;
/** Rows of a task that are judged at most, and at least where it has as many. */
const MOST_ROWS = 500;
const LEAST_ROWS = 50;
/** Digits of an evaluation's identity that name its folder. */
const FOLDER_DIGITS = 12;

/** Sent for a task that cannot be judged. */
export interface TaskNotJudgedEvent {
  readonly type: "task-not-judged";
  readonly task: string;
  readonly reason: string;
}

/** Options of `judgeLibrary`. */
export interface JudgeLibraryOptions {
  readonly device: Device;
  readonly library: string;
  readonly base: { readonly folder: string };
  /** What the experts were trained on; judged on their test rows. */
  readonly tasks: readonly UserTask[];
  /** Tasks that no expert was trained on. */
  readonly unseen: readonly UserTask[];
  readonly trained: TrainIntoLibraryResult;
  readonly recipe: ExpertRecipe;
  /** Finished answers are kept under it; `evaluation.json` is written there. */
  readonly runFolder: string;
  readonly signal?: AbortSignal;
  readonly onEvent?: EventHandler<TaskNotJudgedEvent | EvaluationEvent>;
}

/** What `judgeLibrary` returns. */
export interface JudgedLibrary {
  readonly results: EvaluationResults;
  readonly comparison: Comparison;
  /** Path of `evaluation.json`. */
  readonly file: string;
  /** Most rows of a task that were judged. */
  readonly mostRows: number;
  /** Ids of candidates of other tasks that the library had before, and of experts that were none because of what they may have been trained on. */
  readonly earlier: readonly string[];
  readonly leftOut: readonly string[];
}

/**
 * Judges base, multitask models, experts and routing on test rows. Candidates are the experts of this training and those that the library has of other
 * tasks: what a server would choose among. An earlier expert of a judged task counts only if it was trained on the very rows of this training, as
 * other rows of that task may be test rows here. Where tasks and experts are many, fewer rows of each task are judged.
 * @returns undefined where no task can be judged
 * @throws CadreError as `evaluateSystems`.
 */
export async function judgeLibrary(options: JudgeLibraryOptions): Promise<JudgedLibrary | undefined> {
  const { device, trained, recipe, runFolder, signal, onEvent } = options;
  const library = await openLibrary(options.library);
  await using base = await openModelFolder(options.base.folder);
  const tokenizer = await openTokenizer(options.base.folder);
  const { experts, earlier, leftOut } = await candidates(library, { tasks: options.tasks, trained, model: base.model });
  const mostRows = rowsPerTask({ experts: experts.length, tasks: options.tasks.length + options.unseen.length });
  const tasks = judgedTasks(options, { experts, mostRows });
  if (tasks.length === 0) return undefined;
  const inputLength = recipe.batch.inputLength;
  await using keyMaker = await openKeyMaker({ device, base, baseHash: library.base.hash, tokenizer, library });
  const hasKeys = (await library.keyEncoder()) !== undefined && experts.length > 0;
  await using router = hasKeys ? await openLibraryRouter({ device, library, keyMaker }) : undefined;
  const settings: EvaluationIdentity["settings"] = {
    normalization: "none",
    inputLength,
    mostRows,
    encoder: keyMaker.record.id,
    format: keyMaker.record.format,
    adjustment: (await library.routing())?.adjustment ?? "none",
  };
  const identity = { base: library.base.hash, settings };
  const store = await openResultsStore(join(runFolder, "evaluation", await folderOf(identity)), identity);
  const results = await evaluateSystems({
    ...{ device, model: base.model, weights: base.weights, tokenizer },
    ...{ baseSha256: library.base.hash, trainingSeed: recipe.seed, settings, store, inputLength, tasks, experts },
    ...(trained.multitask === undefined ? {} : { multitask: trained.multitask }),
    ...(trained.multitaskOneBudget === undefined ? {} : { multitaskOneBudget: trained.multitaskOneBudget }),
    ...(router === undefined ? {} : { router }),
    ...(signal === undefined ? {} : { signal }),
    ...(onEvent === undefined ? {} : { onEvent }),
  });
  await mkdir(runFolder, { recursive: true });
  const file = join(runFolder, "evaluation.json");
  await writeResults(file, results);
  return { results, comparison: compare([results]), file, mostRows, earlier, leftOut };
}

/** Most rows of a task that are judged, so that all systems together do not answer more than {@link MOST_ANSWERS}, unless that would be too few to tell anything. */
export function rowsPerTask({ experts, tasks }: { readonly experts: number; readonly tasks: number }): number {
  const systems = experts + 3;
  return Math.max(LEAST_ROWS, Math.min(MOST_ROWS, Math.floor(MOST_ANSWERS / (systems * Math.max(1, tasks)))));
}

/** The experts of a training, and those that the library had and that know none of the test rows, as far as can be told. */
async function candidates(
  library: Library,
  {
    tasks,
    trained,
    model,
  }: { readonly tasks: readonly UserTask[]; readonly trained: TrainIntoLibraryResult; readonly model: Model },
): Promise<{ readonly experts: TrainedSystem[] } & Pick<JudgedLibrary, "earlier" | "leftOut">> {
  const known = new Map(trained.experts.map((expert) => [expert.id, expert]));
  const judged = new Set(tasks.map(({ name }) => name));
  const justTrained = new Set(trained.experts.map(({ task }) => task));
  /** Tasks with their templates that an earlier expert was taken for. */
  const places = new Set<string>();
  const experts: TrainedSystem[] = [];
  const earlier: string[] = [];
  const leftOut: string[] = [];
  for (const { id, manifest } of (await library.scan()).experts) {
    if (manifest.role !== "expert" || manifest.keys === undefined) continue;
    const { task, template = "", origin } = manifest;
    const own = known.get(id);
    const isOfJudged = judged.has(task);
    const { dataHash } = origin.recipe ?? {};
    const place = JSON.stringify([task, template]);
    if (own === undefined && isOfJudged) {
      if (justTrained.has(task) || places.has(place) || !trained.dataHashes.some((hash) => hash === dataHash)) {
        leftOut.push(id);
        continue;
      }
      places.add(place);
    }
    if (!isOfJudged) earlier.push(id);
    experts.push(own ?? (await storedSystem({ read: () => library.read(id), id, model })));
  }
  return { experts, earlier, leftOut };
}

/**
 * Test rows of the tasks with an expert, and of unseen ones; of all where only a multitask model was trained and no task has an expert. Nothing where
 * nothing was trained: what the library had could have been trained on these rows.
 */
function judgedTasks(
  { tasks, unseen, trained, recipe, onEvent }: JudgeLibraryOptions,
  { experts, mostRows: most }: { readonly experts: readonly TrainedSystem[]; readonly mostRows: number },
): EvaluationTask[] {
  if (trained.experts.length === 0 && trained.multitask === undefined) return [];
  const judged = (task: UserTask, suite: "seen" | "unseen"): EvaluationTask[] => {
    const result: EvaluationTaskResult = evaluationTaskOf(task, { suite, most, seed: recipe.seed });
    if (result.task !== undefined) return [result.task];
    emit(onEvent, { type: "task-not-judged", task: task.name, reason: result.reason });
    return [];
  };
  const known = trained.experts.length > 0 ? trained.experts : experts;
  const own = tasks.filter((task) => hasExperts(task, known));
  const seen = own.length > 0 ? own : tasks;
  return [...seen.flatMap((task) => judged(task, "seen")), ...unseen.flatMap((task) => judged(task, "unseen"))];
}

/** Whether each template of a task has an expert, or one knows them all. */
function hasExperts({ name, templates }: UserTask, experts: readonly TrainedSystem[]): boolean {
  const own = experts.filter(({ task }) => task === name);
  return (
    own.some(({ template }) => template === undefined) ||
    (own.length > 0 && templates.every((one) => own.some(({ template }) => template === one.name)))
  );
}

async function folderOf(identity: EvaluationIdentity): Promise<string> {
  return (await sha256(new TextEncoder().encode(JSON.stringify(identity)))).slice(0, FOLDER_DIGITS);
}

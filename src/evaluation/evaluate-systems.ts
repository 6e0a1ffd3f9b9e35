import { CadreError } from "../core/errors.js";
import { type EventHandler, emit } from "../core/events.js";
import type { Router } from "../routing/router.js";
import { answerCells, type CellEndEvent, type CellStartEvent, cellName, type JudgedTask } from "./answer-cells.js";
import type { AnswererOptions } from "./answerer.js";
import {
  baseContestant,
  groupContestants,
  type MergedContestants,
  mergedContestants,
  trainedContestant,
} from "./contestants.js";
import { encodeQuestions } from "./questions.js";
import {
  type EvaluationIdentity,
  type EvaluationResults,
  RESULTS_FORMAT,
  RESULTS_FORMAT_VERSION,
} from "./results-schema.js";
import type { ResultsStore } from "./results-store.js";
import { type EvaluationTask, taskRecord } from "./results-task.js";
import { type RoutedTask, routeTask } from "./route-tasks.js";
import type { TrainedSystem } from "./trained-system.js";

const DEFAULT_INPUT_LENGTH = 512;

/** Sent when a task's rows have been routed. */
export interface TaskRoutedEvent {
  readonly type: "task-routed";
  readonly task: string;
}

/** Sent where the merged experts cannot be evaluated. */
export interface SystemLeftOutEvent {
  readonly type: "system-left-out";
  readonly system: "mergedTop3";
  /** In words. */
  readonly reason: string;
}

/** What `evaluateSystems` tells its handler. */
export type EvaluationEvent = TaskRoutedEvent | SystemLeftOutEvent | CellStartEvent | CellEndEvent;

/** Options of `evaluateSystems`. */
export interface EvaluateSystemsOptions extends Omit<AnswererOptions, "inputLength"> {
  /** Of the base's weights, 64 hexadecimal digits. */
  readonly baseSha256: string;
  readonly trainingSeed: number;
  /** At least one, with different names. */
  readonly tasks: readonly EvaluationTask[];
  /** With different ids. */
  readonly experts: readonly TrainedSystem[];
  /** Trained for the sum of all experts' steps. */
  readonly multitask?: TrainedSystem;
  /** Trained for one expert's steps. */
  readonly multitaskOneBudget?: TrainedSystem;
  /** Its candidates are the experts; without one, nothing is routed or merged. */
  readonly router?: Router;
  /** As the store was opened with. */
  readonly settings: EvaluationIdentity["settings"];
  /** Finished cells are not computed again. */
  readonly store: ResultsStore;
  /** Most input tokens, end token included; longer inputs are cut and counted. Default 512. */
  readonly inputLength?: number;
  /** Takes effect between two batches. */
  readonly signal?: AbortSignal;
  readonly onEvent?: EventHandler<EvaluationEvent>;
}

/**
 * Lets base, multitask models and every expert answer the rows of every task, and merged experts those of unseen tasks, cell by cell; a cell is
 * kept as soon as it is finished, so that an evaluation that was killed loses one. What a router picks is followed from the experts' cells by
 * `compare`. Models and the router see what `unlabelledRows` shows; labels are read when answers are judged.
 *
 * Answers are chosen by rank classification, the sum of a choice's log-probabilities (ELM), or written greedily, as a task's metric says.
 * @throws CadreError `invalid-argument` for repeated names, a metric that is none or lacks choices, a seen task without an expert beside others
 * with one, or as `routeTask`; `mismatch` (tensors), `non-finite` (a diverged model), `invalid-file` (a damaged cell), `aborted`.
 */
export async function evaluateSystems(options: EvaluateSystemsOptions): Promise<EvaluationResults> {
  const { baseSha256, trainingSeed, tasks, experts, multitask, multitaskOneBudget, settings } = options;
  expectDifferent(options);
  const judged = await Promise.all(
    tasks.map(async (task): Promise<JudgedTask> => {
      const questions = encodeQuestions(task, options.tokenizer);
      const counts = questions.kind === "choices" ? { choiceCounts: { ...questions.counts } } : {};
      return { task, questions, record: { ...(await taskRecord(task)), ...counts } };
    }),
  );
  const routed = await routeAll(options);
  const merged = await mergeTop(routed, options);
  const contestants = [
    baseContestant(baseSha256),
    ...(multitask === undefined ? [] : [trainedContestant("multitask", multitask)]),
    ...(multitaskOneBudget === undefined ? [] : [trainedContestant("multitaskOneBudget", multitaskOneBudget)]),
    ...experts.map((expert) => trainedContestant(`expert:${expert.id}`, expert)),
  ];
  const groups = groupContestants([...contestants, ...(merged?.contestants ?? [])]);
  const cells = await answerCells(groups, judged, { inputLength: DEFAULT_INPUT_LENGTH, ...options });
  return {
    format: RESULTS_FORMAT,
    formatVersion: RESULTS_FORMAT_VERSION,
    createdAt: new Date().toISOString(),
    identity: { base: baseSha256, settings },
    trainingSeed,
    systems: systemRecords(options, merged),
    experts: experts.map(({ id, task, template, ...trained }) => ({
      id,
      task,
      ...(template === undefined ? {} : { template }),
      ...costs(trained),
    })),
    tasks: judged.map(({ record }) => record),
    routes: routed.map(({ route }) => route),
    cells: [...contestants.map(({ system }) => system), "mergedTop3" as const].flatMap((system) =>
      tasks.flatMap(({ name }) => cells.get(cellName({ system, task: name })) ?? []),
    ),
  };
}

async function routeAll({ router, tasks, experts, signal, onEvent }: EvaluateSystemsOptions): Promise<RoutedTask[]> {
  if (router === undefined) {
    return [];
  }
  const ids = new Set(experts.map(({ id }) => id));
  const routed: RoutedTask[] = [];
  for (const task of tasks) {
    routed.push(await routeTask(task, { router, experts: ids, signal }));
    emit(onEvent, { type: "task-routed", task: task.name });
  }
  return routed;
}

/** The merged experts of unseen tasks; undefined where there are none, or where they cannot be merged, which is told. */
async function mergeTop(
  routed: readonly RoutedTask[],
  { experts, onEvent }: EvaluateSystemsOptions,
): Promise<MergedContestants | undefined> {
  const tops = routed.flatMap(({ route: { task }, top }) =>
    top === undefined ? [] : [{ task, experts: top.flatMap((id) => experts.filter((expert) => expert.id === id)) }],
  );
  if (tops.length === 0) {
    return undefined;
  }
  const merged = await mergedContestants(tops);
  if ("reason" in merged) {
    emit(onEvent, { type: "system-left-out", system: "mergedTop3", reason: merged.reason });
    return undefined;
  }
  return merged;
}

function systemRecords(
  { baseSha256, experts, multitask, multitaskOneBudget }: EvaluateSystemsOptions,
  merged: MergedContestants | undefined,
): EvaluationResults["systems"] {
  return [
    { name: "base", sha256: baseSha256, steps: 0, trainingFlops: 0 },
    ...(multitask === undefined ? [] : [{ name: "multitask" as const, ...costs(multitask) }]),
    ...(multitaskOneBudget === undefined
      ? []
      : [{ name: "multitaskOneBudget" as const, ...costs(multitaskOneBudget) }]),
    ...(merged === undefined
      ? []
      : [
          {
            name: "mergedTop3" as const,
            sha256: merged.sha256,
            // Any expert could have been merged.
            steps: experts.reduce((sum, { steps }) => sum + steps, 0),
            trainingFlops: experts.reduce((sum, { trainingFlops }) => sum + trainingFlops, 0),
          },
        ]),
  ];
}

function costs({ sha256, steps, trainingFlops }: Pick<TrainedSystem, "sha256" | "steps" | "trainingFlops">) {
  return { sha256, steps, trainingFlops };
}

function expectDifferent({ tasks, experts }: EvaluateSystemsOptions): void {
  const fail = (message: string): never => {
    throw new CadreError("invalid-argument", `evaluation: ${message}`);
  };
  const repeated = (names: readonly string[]): string | undefined =>
    names.find((name, index) => names.indexOf(name) !== index);
  const task = repeated(tasks.map(({ name }) => name));
  const expert = repeated(experts.map(({ id }) => id));
  if (tasks.length === 0 || task !== undefined) {
    fail(`expected tasks of different names, got ${task === undefined ? "none" : `"${task}" twice`}`);
  }
  if (expert !== undefined) {
    fail(`expected experts of different ids, got "${expert}" twice`);
  }
  const seen = tasks.filter(({ suite }) => suite === "seen");
  const orphan = seen.find(({ name }) => !experts.some((one) => one.task === name));
  if (orphan !== undefined && seen.some(({ name }) => experts.some((one) => one.task === name))) {
    fail(`expected an expert of the seen task "${orphan.name}", as other tasks have one; leave the task out`);
  }
}

import { at } from "../core/at.js";
import type { RoutingText } from "../routing/text-format.js";
import { type EvaluationResults, RESULTS_FORMAT, RESULTS_FORMAT_VERSION, type SystemName } from "./results-schema.js";
import { answersByScore, type EvaluationTask, taskRecord, unlabelledRows } from "./results-task.js";

/** Scores the choices of a row: all that a system may know. */
export type FakeScorer = (row: RoutingText, place: { readonly task: string; readonly row: number }) => number[];

/** What is evaluated, by whom. */
export interface FakeEvaluation {
  readonly tasks: readonly EvaluationTask[];
  readonly scorers: Partial<Record<SystemName, FakeScorer>>;
  /** Of every `expert:<id>` among the scorers. */
  readonly experts?: readonly { readonly id: string; readonly task: string; readonly template?: string }[];
  /** For each row the expert that answers it. */
  readonly router?: (row: RoutingText) => string;
  readonly trainingSeed?: number;
  /** Which systems are scored on which tasks; default: all on all. */
  readonly covers?: (system: string, task: string) => boolean;
}

/** A hash in the form of SHA-256. */
export function fakeHash(character: string): string {
  return character.repeat(64);
}

/** Results as an evaluation makes them; labels are read by `answersByScore` alone. */
export async function fakeResults(evaluation: FakeEvaluation): Promise<EvaluationResults> {
  const { tasks, scorers, experts = [], router, trainingSeed = 0, covers = () => true } = evaluation;
  const records = await Promise.all(tasks.map(taskRecord));
  const trained = { sha256: fakeHash("b"), steps: 10, trainingFlops: 1e9 };
  const systems = Object.entries(scorers);
  return {
    format: RESULTS_FORMAT,
    formatVersion: RESULTS_FORMAT_VERSION,
    createdAt: "2026-11-21T06:00:00.000Z",
    identity: { base: fakeHash("a"), settings: { normalization: "none" } },
    trainingSeed,
    systems: (["base", "multitask", "multitaskOneBudget", "routed", "mergedTop3"] as const).flatMap((name) =>
      scorers[name] === undefined ? [] : [{ name, ...trained, ...(name === "base" ? { trainingFlops: 0 } : {}) }],
    ),
    experts: experts.map((expert) => ({ ...expert, ...trained })),
    tasks: records,
    routes:
      router === undefined
        ? []
        : tasks.map((task) => ({
            task: task.name,
            rows: unlabelledRows(task).map((row) => [{ id: router(row), weight: 1 }]),
          })),
    cells: tasks.flatMap((task, index) =>
      systems.flatMap(([name, scorer]) => {
        if (scorer === undefined || !covers(name, task.name)) {
          return [];
        }
        const record = at(records, index);
        const scores = unlabelledRows(task).map((row, position) => scorer(row, { task: task.name, row: position }));
        return [
          {
            // The keys of the scorers' type.
            system: name as SystemName,
            systemSha256: fakeHash("b"),
            task: task.name,
            taskSha256: record.sha256,
            ...answersByScore(record, scores),
            truncatedInputs: 0,
            flops: 1,
            seconds: 0,
          },
        ];
      }),
    ),
  };
}

/** A task whose instances have each template; targets cycle through the choices. */
export function fakeTask(
  name: string,
  options: {
    readonly suite: "seen" | "unseen";
    readonly instances: number;
    readonly templates?: number;
    readonly choices?: readonly string[];
    readonly label?: (instance: number) => number;
  },
): EvaluationTask {
  const {
    suite,
    instances,
    templates = 1,
    choices = ["no", "yes"],
    label = (instance) => instance % choices.length,
  } = options;
  return {
    name,
    suite,
    choices,
    majority: at(choices, 0),
    rows: Array.from({ length: instances }, (_, instance) => instance).flatMap((instance) =>
      Array.from({ length: templates }, (_, template) => ({
        instance: `${instance}`,
        template: `${template}`,
        input: `${name} ${instance} in words ${template}`,
        targets: [at(choices, label(instance))],
      })),
    ),
  };
}

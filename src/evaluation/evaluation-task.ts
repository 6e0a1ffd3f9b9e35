import { at } from "../core/at.js";
import { groupBy } from "../core/group-by.js";
import { sampleIndices } from "../routing/sample.js";
import type { UserExample, UserTask } from "../tasks/user-task.js";
import { majorityClass } from "./rank-classification.js";
import type { EvaluationTask } from "./results-task.js";

/** Options of `evaluationTaskOf`. */
export interface EvaluationTaskOptions {
  /** Whether an expert is trained on the task's training rows. */
  readonly suite: EvaluationTask["suite"];
  /** Most instances, 2 or more, each with all of its templates; of more, a seeded sample. Default: all. */
  readonly most?: number;
  /** Of that sample, an integer in [0, 2^32). */
  readonly seed: number;
}

/** A task that can be judged, or why it cannot, in words. */
export type EvaluationTaskResult =
  | { readonly task: EvaluationTask }
  | { readonly task: undefined; readonly reason: string };

/**
 * What systems are judged on of a person's task: its test rows. Where every row has choices, answers are chosen among them (`accuracy`); else they
 * are written (`exact match`) for all rows, so that the rows of a task have one metric. Instances are called by the numbers of their rows, not by
 * their files, so that a folder may move; the majority is that of the training rows, of each template where these do not share their choices.
 * @returns no task where its test split has fewer than two instances: intervals resample instances, and best experts are chosen on one half of
 * them and judged on the other
 */
export function evaluationTaskOf(
  { name, files, templates, splits }: Pick<UserTask, "name" | "files" | "templates" | "splits">,
  { suite, most = Number.POSITIVE_INFINITY, seed }: EvaluationTaskOptions,
): EvaluationTaskResult {
  const instances = [...groupBy(splits.test, ({ instance }) => instance).values()];
  if (instances.length < 2) {
    return {
      task: undefined,
      reason: `task "${name}" (${files.join(", ")}): expected two test rows or more to judge by, found ${instances.length}; add rows, or a test file or split`,
    };
  }
  const sampled = sampleIndices({ available: instances.length, most, seed });
  const examples = sampled.flatMap((index) => at(instances, index));
  const sets = new Set(examples.map(({ choices }) => JSON.stringify(choices)));
  const shared = sets.size === 1 ? examples[0]?.choices : undefined;
  const hasChoices = examples.every(({ choices }) => choices !== undefined);
  return {
    task: {
      name,
      suite,
      metric: hasChoices ? "accuracy" : "exact match",
      ...(shared === undefined ? {} : { choices: shared }),
      ...majorityOf(splits.train, { templates, shareAnswers: templates.length === 1 || shared !== undefined }),
      rows: examples.map(({ instance, template, input, targets, choices }) => ({
        instance: `${instance}`,
        template: at(templates, template).name,
        input,
        targets,
        ...(shared !== undefined || choices === undefined ? {} : { choices }),
      })),
    },
  };
}

/** Templates of other choices say the same answer in other words: one answer for all rows would be wrong on most. */
function majorityOf(
  train: readonly UserExample[],
  { templates, shareAnswers }: { readonly templates: UserTask["templates"]; readonly shareAnswers: boolean },
): Pick<EvaluationTask, "majority" | "majorityByTemplate"> {
  if (train.length === 0) return {};
  if (shareAnswers) return { majority: majorityClass(train) };
  const groups = [...groupBy(train, ({ template }) => template)];
  return {
    majorityByTemplate: Object.fromEntries(
      groups.map(([template, own]) => [at(templates, template).name, majorityClass(own)]),
    ),
  };
}

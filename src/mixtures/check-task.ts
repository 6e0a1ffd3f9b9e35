import { at } from "../core/at.js";
import {
  countProblems,
  countRows,
  type Leak,
  type RowPlace,
  SPLITS,
  type SplitName,
  type UserExample,
  type UserTask,
  type UserTaskTemplate,
} from "../tasks/user-task.js";
import { findingsOf } from "./check-task-findings.js";
import { type TrainableOptions, whyNotTrainable } from "./check-task-trainable.js";
import { createNearKey } from "./near-key.js";
import type { LabelCount, LengthCheck, TaskCheck, TemplateCheck } from "./task-check.js";

/** Examples of one template that are measured in tokens, spread evenly over the task. */
export const MAX_MEASURED = 5000;
/** Characters of them in all. */
const MAX_MEASURED_CHARACTERS = 2 ** 24;
/** Conflicts and leaks that are listed; all are counted. */
const MAX_LISTED = 100;

/** How the task would be trained on. */
export interface CheckTaskOptions extends TrainableOptions {
  /** Most tokens of an input; of longer ones the end is cut. */
  readonly inputLength: number;
  /** Most rows of a task that are trained on. */
  readonly maxRows: number;
}

/** Looks through a task before it is trained on: repeated, contradicting and leaking rows, balance of the labels, lengths. */
export function checkTask(task: UserTask, options: CheckTaskOptions): TaskCheck {
  const { conflictCount, conflicts, duplicates } = findRepeats(task);
  const nearLeaks = findNearLeaks(task);
  const badRows = countProblems(task);
  const refusal = whyNotTrainable({ ...task.splits, badRows }, options);
  const checked: Omit<TaskCheck, "findings"> = {
    name: task.name,
    files: task.files,
    rows: task.instances + badRows,
    badRows,
    problemCounts: task.problemCounts,
    problems: task.problems,
    splitRows: bySplit((split) => countRows(task.splits[split])),
    splitFrom: task.splitFrom,
    splitsMade: task.splitsMade,
    templates: task.templates.map((template, index) => checkTemplate(task, { template, index, options })),
    duplicates,
    conflictCount,
    conflicts,
    leakCount: task.leaks.length,
    leaks: task.leaks.slice(0, MAX_LISTED).map(({ split, place, of }) => ({ split, place, of })),
    nearLeakCount: nearLeaks.length,
    nearLeaks: nearLeaks.slice(0, MAX_LISTED),
    unusedFields: task.unusedFields,
    ...(refusal === undefined ? {} : { refusal }),
  };
  return { ...checked, findings: findingsOf(checked, options) };
}

/** The rows of a split, each once: by the first template. */
function firstExamples({ splits }: UserTask, split: SplitName): UserExample[] {
  return splits[split].filter(({ template }) => template === 0);
}

function bySplit(count: (split: SplitName) => number): Record<SplitName, number> {
  return { train: count("train"), validation: count("validation"), test: count("test") };
}

/** Rows that were taken out of a split count too: their answers may contradict those of the rows that stay. */
function findRepeats(task: UserTask): Pick<TaskCheck, "conflictCount" | "conflicts" | "duplicates"> {
  const answersOf = new Map<string, Map<string, RowPlace>>();
  const note = (key: string, target: string, place: RowPlace) => {
    const answers = answersOf.get(key) ?? new Map<string, RowPlace>();
    if (!answers.has(target)) answers.set(target, place);
    answersOf.set(key, answers);
  };
  let duplicates = 0;
  for (const split of SPLITS) {
    const seen = new Set<string>();
    for (const { input, targets, place } of firstExamples(task, split)) {
      const key = input.trim();
      const target = targets.join("\n");
      const whole = JSON.stringify([key, target]);
      if (seen.has(whole)) duplicates++;
      seen.add(whole);
      note(key, target, place);
    }
  }
  for (const { input, targets, place } of task.leaks) note(input.trim(), targets.join("\n"), place);
  const conflicting = [...answersOf].filter(([, answers]) => answers.size > 1);
  return {
    duplicates,
    conflictCount: conflicting.length,
    conflicts: conflicting.slice(0, MAX_LISTED).map(([input, answers]) => ({
      input,
      answers: [...answers].map(([target, place]) => ({ target, place })),
    })),
  };
}

/** As leaks, but the inputs differ in case, punctuation or white space. */
function findNearLeaks(task: UserTask): Leak[] {
  const nearKey = createNearKey();
  const judging = new Map<string, Leak["of"]>();
  const leaks: Leak[] = [];
  for (const split of ["test", "validation", "train"] as const) {
    const own: [string, Leak["of"]][] = [];
    for (const { input, place } of firstExamples(task, split)) {
      const key = nearKey(input);
      const of = key === undefined ? undefined : judging.get(key);
      if (of !== undefined) leaks.push({ split, place, of });
      else if (key !== undefined && split !== "train") own.push([key, { split, place }]);
    }
    for (const [key, of] of own) if (!judging.has(key)) judging.set(key, of);
  }
  return leaks;
}

function checkTemplate(
  { splits }: UserTask,
  {
    template,
    index,
    options,
  }: { readonly template: UserTaskTemplate; readonly index: number; readonly options: CheckTaskOptions },
): TemplateCheck {
  const examples = SPLITS.flatMap((split) => splits[split].filter((example) => example.template === index));
  const counts = new Map(
    SPLITS.map((split) => [split, countLabels(splits[split].filter((example) => example.template === index))]),
  );
  const labels = (template.choices ?? []).map(
    (label): LabelCount => ({
      label,
      ...bySplit((split) => counts.get(split)?.get(label) ?? 0),
    }),
  );
  const targetTokensOf = options.learnsChoices && examples.some(({ choices }) => choices) ? "choices" : "answer";
  return { ...template, labels, targetTokensOf, ...measure(examples, options) };
}

function countLabels(examples: readonly UserExample[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { targets } of examples) {
    const label = at(targets, 0);
    counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  return counts;
}

function measure(
  examples: readonly UserExample[],
  { tokenizer, inputLength, targetLength, learnsChoices }: CheckTaskOptions,
): Pick<TemplateCheck, "inputTokens" | "targetTokens"> {
  const inputs: number[] = [];
  const targets: number[] = [];
  const lengthOfChoices = new Map<readonly string[], number>();
  const lengthOf = (texts: readonly string[]) => texts.reduce((sum, text) => sum + tokenizer.encode(text).length, 0);
  const step = Math.max(1, examples.length / MAX_MEASURED);
  let characters = 0;
  for (let index = 0; Math.floor(index) < examples.length && characters < MAX_MEASURED_CHARACTERS; index += step) {
    const { input, targets: answers, choices: all } = at(examples, Math.floor(index));
    const choices = learnsChoices ? all : undefined;
    characters += input.length;
    inputs.push(lengthOf([input]));
    const length = (choices && lengthOfChoices.get(choices)) ?? lengthOf(choices ?? answers.slice(0, 1));
    if (choices !== undefined) lengthOfChoices.set(choices, length);
    targets.push(length);
  }
  return { inputTokens: summarise(inputs, inputLength), targetTokens: summarise(targets, targetLength) };
}

function summarise(lengths: readonly number[], limit: number): LengthCheck {
  const sorted = [...lengths].sort((a, b) => a - b);
  const quantile = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  return {
    measured: sorted.length,
    median: quantile(0.5),
    percentile95: quantile(0.95),
    longest: sorted.at(-1) ?? 0,
    limit,
    cut: sorted.filter((length) => length > limit).length,
  };
}

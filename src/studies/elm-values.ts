import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import { groupBy } from "../core/group-by.js";
import { mean } from "../core/numbers.js";
import { excludesZero, instanceMeans, percentileInterval, resampledMeans } from "../evaluation/bootstrap.js";
import type { DifferenceFigure, Figure } from "../evaluation/comparison.js";
import { type FigureName, suiteValues } from "../evaluation/comparison-values.js";
import type { EvaluationResults, SystemName } from "../evaluation/results-schema.js";

/** Scores of a system, 0 to 1: `[seed][task][instance]`, an instance's mean over its templates. */
export type ElmScores = readonly (readonly (readonly number[])[])[];

/** Seeds that a claim needs. */
export const SEEDS_OF_A_CLAIM = 3;
/** Share of resamples within an interval. */
const LEVEL = 0.95;

/** What a system scored on tasks, of one seed: `[task][instance]`. @throws CadreError `internal` where it did not answer one of them. */
export function scoresOf(
  results: EvaluationResults,
  { system, tasks }: { readonly system: SystemName; readonly tasks: readonly string[] },
): number[][] {
  return tasks.map((task) => taskScores(results, { task, systemOf: () => system }));
}

/**
 * What a task scores where each template has a system that answers its rows: `[instance]`, an instance's mean over its templates.
 * @throws CadreError `internal` where one of them did not answer the task.
 */
export function taskScores(
  results: EvaluationResults,
  { task: name, systemOf }: { readonly task: string; readonly systemOf: (template: string) => SystemName },
): number[] {
  const rows = results.tasks.find((one) => one.name === name)?.rows ?? [];
  const answers = new Map(
    results.cells.flatMap((cell) => (cell.task === name ? [[cell.system, cell.scores] as const] : [])),
  );
  const missing = [...new Set(rows.map(({ template }) => systemOf(template)))].find((system) => !answers.has(system));
  if (rows.length === 0 || missing !== undefined) {
    throw new CadreError("internal", `elm: expected answers of ${missing ?? "a system"} on ${name}, found none`);
  }
  const scores = rows.map(({ template }, row) => at(answers.get(systemOf(template)) ?? [], row));
  const groups = [...groupBy(rows.keys(), (row) => at(rows, row).instance).values()];
  return instanceMeans(groups.map((own) => own.map((row) => at(scores, row))));
}

/** A figure of the comparison as scores; undefined where it was not evaluated. */
export function figureScores(
  results: readonly EvaluationResults[],
  { suite, name }: { readonly suite: "seen" | "unseen"; readonly name: FigureName },
): ElmScores | undefined {
  const scores = results.map((one) => suiteValues(one, { suite, seed: 0 })?.figures.get(name));
  return scores.flatMap((one) => (one === undefined ? [] : [one])).length === results.length
    ? scores.map((one) => one ?? [])
    : undefined;
}

/** The mean over instances, then over tasks, in percent, with its interval over seeds and instances. */
export function figureOfScores(scores: ElmScores): Figure {
  const { mean: value, resampled } = overTasks(scores.map((seed) => seed.map((task) => [...task])));
  return { mean: 100 * value, ...inPercent(resampled) };
}

/**
 * `first - second` in percentage points. It is resolved as in `compare`: the interval excludes zero, and so many instances differ that they would
 * hardly all do so in one direction by luck.
 */
export function differenceOfScores(first: ElmScores, second: ElmScores): DifferenceFigure {
  const differences = first.map((seed, index) =>
    seed.map((task, position) => task.map((value, instance) => value - at(at(at(second, index), position), instance))),
  );
  const { mean: value, resampled } = overTasks(differences);
  const interval = inPercent(resampled);
  const [one = []] = differences;
  const differing = one.flatMap((task, position) =>
    task.filter((_, instance) => {
      const overSeeds = mean(differences.map((seed) => at(at(seed, position), instance)));
      return excludesZero({ low: overSeeds, high: overSeeds });
    }),
  ).length;
  return { mean: 100 * value, ...interval, resolved: 2 * 0.5 ** differing <= 1 - LEVEL && excludesZero(interval) };
}

function overTasks(scores: ElmScores): { readonly mean: number; readonly resampled: Float64Array } {
  const [first = []] = scores;
  const sum = new Float64Array(RESAMPLES);
  for (const task of first.keys()) {
    const values = scores.map((seed) => at(seed, task));
    const [resampled] = resampledMeans([values], { stream: task + 1, resamples: RESAMPLES });
    resampled?.forEach((value, index) => {
      sum[index] = at(sum, index) + value / first.length;
    });
  }
  return { mean: mean(scores.map((seed) => mean(seed.map((task) => mean(task))))), resampled: sum };
}

const RESAMPLES = 10_000;

function inPercent(resampled: Float64Array): { readonly low: number; readonly high: number } {
  const { low, high } = percentileInterval(resampled, LEVEL);
  return { low: 100 * low, high: 100 * high };
}

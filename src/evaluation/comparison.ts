import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import { mean } from "../core/numbers.js";
import { type BootstrapOptions, excludesZero, percentileInterval, resampledMeans } from "./bootstrap.js";
import { type FigureName, type SuiteValues, suiteValues } from "./comparison-values.js";
import type { EvaluationResults } from "./results-schema.js";
import { rescoreWritten } from "./written-answers.js";

/** A mean in percent with its interval. */
export interface Figure {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/** A difference of two figures on the same rows, in percentage points. */
export interface DifferenceFigure extends Figure {
  /**
   * Whether a claim may rest on it: the interval excludes zero, and so many instances differ that they would hardly all do so in one direction
   * by luck (six at 95 %; a bootstrap of few rows does not know how few they are).
   */
  readonly resolved: boolean;
}

/** How a system or a baseline fares. */
export interface ComparedFigure {
  readonly name: FigureName;
  /** Mean over instances within a task, then over tasks. */
  readonly mean: Figure;
  /** In the order of the suite's tasks. */
  readonly perTask: readonly Figure[];
  /** Of all training behind it: all experts' for what chooses among them, 0 for the base; absent for baselines. Mean over seeds. */
  readonly trainingFlops?: number;
}

/** How two of them differ. */
export interface ComparedPair {
  readonly first: FigureName;
  readonly second: FigureName;
  /** `first - second` */
  readonly mean: DifferenceFigure;
  readonly perTask: readonly DifferenceFigure[];
}

/** The same answers by one metric. */
export interface WrittenFigures {
  readonly metric: string;
  /** Of what answers and of the majority; the mean over the suite's tasks with written answers. */
  readonly figures: readonly Pick<ComparedFigure, "name" | "mean">[];
}

/** The comparison on the tasks of a suite. */
export interface SuiteComparison {
  readonly tasks: readonly {
    readonly name: string;
    readonly metric: string;
    readonly rows: number;
    readonly instances: number;
  }[];
  /** In the order of the table; what was not evaluated is absent. */
  readonly figures: readonly ComparedFigure[];
  /** Every figure against the base, then what else is claimed. Regret is `oracle` against `retrieved`. */
  readonly differences: readonly ComparedPair[];
  /** Percent of every expert (row) on every task (column), mean over seeds; null where it was not evaluated. */
  readonly experts: readonly { readonly label: string; readonly means: readonly (number | null)[] }[];
  /** The tasks whose answers are written, by exact match, token F1 and ROUGE-L; absent without such tasks. */
  readonly written?: readonly WrittenFigures[];
  /** The expert that most rows were routed to, and their share of all rows in percent, of the first seed: many wrong routes to one expert show here. */
  readonly mostPicked?: { readonly label: string; readonly share: number };
}

/** The comparison of base, multitask model and experts. */
export interface Comparison {
  /** Training seeds. With one, intervals cover rows only; a claim needs three. */
  readonly seeds: number;
  readonly level: number;
  /** Tasks that experts were trained on: what a user's own tasks gain. */
  readonly seen?: SuiteComparison;
  readonly unseen?: SuiteComparison;
}

/** What is claimed beside "better than the base". */
const CLAIMS: Readonly<Record<"seen" | "unseen", readonly (readonly [FigureName, FigureName])[]>> = {
  seen: [
    ["expert", "majority"],
    ["expert", "multitask"],
    ["expert", "multitaskOneBudget"],
    ["auto", "multitask"],
    ["auto", "expert"],
  ],
  unseen: [
    ["retrieved", "random"],
    ["retrieved", "multitask"],
    ["retrieved", "bestSingle"],
    ["mergedTop3", "retrieved"],
    ["oracle", "retrieved"],
  ],
};

/** What written answers are judged by, strictest first. */
const WRITTEN_METRICS = ["exact match", "token F1", "ROUGE-L"];
/** Figures that no metric of written answers changes. */
const NOT_WRITTEN: ReadonlySet<FigureName> = new Set(["routingAccuracy", "chance"]);

/** Figures of which a difference to the base says nothing. */
const NOT_ANSWERS: ReadonlySet<FigureName> = new Set(["routingAccuracy"]);

/**
 * Compares systems by the rules of honest comparison: baselines beside every system, best single and oracle cross-fitted, intervals that
 * resample instances with all their templates within each task (tasks are taken as given), and, with several seeds, training seeds;
 * differences on the same resamples.
 * @param results One for each training seed, of the same tasks.
 * @param options.seed uint32, default 0: of resamples and of the halves.
 * @throws CadreError `mismatch` unless all results have the same base, settings, tasks (by the hash of their rows) and systems;
 * `invalid-argument` as `suiteValues` and `resampledMeans`.
 */
export function compare(results: readonly EvaluationResults[], options: BootstrapOptions = {}): Comparison {
  expectSameQuestion(results);
  const { level = 0.95, seed = 0 } = options;
  const suites = (["seen", "unseen"] as const).flatMap((suite) => {
    const compareAs = (judged: readonly EvaluationResults[]): SuiteComparison | undefined => {
      const values = judged.flatMap((one) => suiteValues(one, { suite, seed }) ?? []);
      return values.length === 0
        ? undefined
        : compareSuite({ suite, values, results: judged, options: { ...options, level } });
    };
    const compared = compareAs(results);
    if (compared === undefined) return [];
    const written = WRITTEN_METRICS.flatMap((metric): WrittenFigures[] => {
      const { figures = [] } = compareAs(results.map((one) => rescoreWritten(one, metric))) ?? {};
      const shown = figures.filter(({ name }) => !NOT_WRITTEN.has(name)).map(({ name, mean }) => ({ name, mean }));
      return shown.length === 0 ? [] : [{ metric, figures: shown }];
    });
    return [[suite, { ...compared, ...(written.length === 0 ? {} : { written }) }] as const];
  });
  return { seeds: results.length, level, ...Object.fromEntries(suites) };
}

interface Suite {
  readonly suite: "seen" | "unseen";
  /** One for each seed. */
  readonly values: readonly SuiteValues[];
  readonly results: readonly EvaluationResults[];
  readonly options: BootstrapOptions & { readonly level: number };
}

function compareSuite({ suite, values, results, options }: Suite): SuiteComparison {
  const first = at(values, 0);
  const names = [...first.figures.keys()];
  expectSameNames(values);
  const samples = first.tasks.map((_, task) => {
    const systems = names.map((name) => values.map(({ figures }) => at(figures.get(name) ?? [], task)));
    const resampled = resampledMeans(systems, { ...options, stream: task + 1 });
    return new Map(names.map((name, index) => [name, sampleOf(at(systems, index), at(resampled, index))]));
  });
  const sampleAt = (name: FigureName, task: number): Sample => {
    const sample = samples[task]?.get(name);
    if (sample === undefined) {
      throw new CadreError("internal", `comparison: no sample of ${name} on task ${task}`);
    }
    return sample;
  };
  const compared = (name: FigureName): ComparedFigure => {
    const perTask = first.tasks.map((_, task) => sampleAt(name, task));
    const trainingFlops = trainingFlopsOf(name, results);
    return {
      name,
      mean: figureOf(averageSamples(perTask), options.level),
      perTask: perTask.map((sample) => figureOf(sample, options.level)),
      ...(trainingFlops === undefined ? {} : { trainingFlops }),
    };
  };
  const pair = (one: FigureName, other: FigureName): ComparedPair => {
    const perTask = first.tasks.map((_, task) => subtractSamples(sampleAt(one, task), sampleAt(other, task)));
    return {
      first: one,
      second: other,
      mean: differenceOf(averageSamples(perTask), options.level),
      perTask: perTask.map((sample) => differenceOf(sample, options.level)),
    };
  };
  const pairs = [
    ...names.flatMap((name) => (name === "base" || NOT_ANSWERS.has(name) ? [] : [[name, "base"] as const])),
    ...CLAIMS[suite],
  ];
  return {
    tasks: first.tasks.map(({ name, metric, rows }, task) => ({
      name,
      metric,
      rows: rows.length,
      instances: sampleAt("chance", task).instances.length,
    })),
    figures: names.map(compared),
    differences: pairs.flatMap(([one, other]) =>
      names.includes(one) && names.includes(other) ? [pair(one, other)] : [],
    ),
    experts: first.experts.map(({ label, means }, index) => ({
      label,
      means: means.map((_, task) => {
        const own = values.map(({ experts }) => experts[index]?.means[task] ?? null);
        return own.includes(null) ? null : 100 * mean(own.map(Number));
      }),
    })),
    ...(first.mostPicked === undefined
      ? {}
      : { mostPicked: { label: first.mostPicked.label, share: 100 * first.mostPicked.share } }),
  };
}

/** A mean with its resamples, 0 to 1. */
interface Sample {
  readonly mean: number;
  readonly resampled: Float64Array;
  /** Means over seeds. */
  readonly instances: readonly number[];
}

/** @param values `[seed][instance]` */
function sampleOf(values: readonly (readonly number[])[], resampled: Float64Array): Sample {
  const instances = at(values, 0).map((_, instance) => mean(values.map((row) => at(row, instance))));
  return { mean: mean(instances), resampled, instances };
}

/** Over tasks. */
function averageSamples(samples: readonly Sample[]): Sample {
  const resampled = new Float64Array(at(samples, 0).resampled.length);
  for (const sample of samples) {
    sample.resampled.forEach((value, index) => {
      resampled[index] = (resampled[index] ?? 0) + value;
    });
  }
  return {
    mean: mean(samples.map((sample) => sample.mean)),
    resampled: resampled.map((sum) => sum / samples.length),
    instances: samples.flatMap(({ instances }) => instances),
  };
}

function subtractSamples(first: Sample, second: Sample): Sample {
  return {
    mean: first.mean - second.mean,
    resampled: first.resampled.map((value, index) => value - (second.resampled[index] ?? 0)),
    instances: first.instances.map((value, index) => value - at(second.instances, index)),
  };
}

function figureOf({ mean: value, resampled }: Sample, level: number): Figure {
  const { low, high } = percentileInterval(resampled, level);
  return { mean: 100 * value, low: 100 * low, high: 100 * high };
}

function differenceOf(sample: Sample, level: number): DifferenceFigure {
  const figure = figureOf(sample, level);
  const differing = sample.instances.filter((value) => excludesZero({ low: value, high: value })).length;
  const enough = 2 * 0.5 ** differing <= 1 - level;
  return { ...figure, resolved: enough && excludesZero(figure) };
}

function trainingFlopsOf(name: FigureName, results: readonly EvaluationResults[]): number | undefined {
  switch (name) {
    case "majority":
    case "chance":
    case "routingAccuracy":
      return undefined;
    case "base":
    case "multitask":
    case "multitaskOneBudget": {
      const own = results.flatMap(({ systems }) => systems.find((system) => system.name === name)?.trainingFlops ?? []);
      return own.length === 0 ? undefined : mean(own);
    }
    default:
      return mean(results.map(({ experts }) => experts.reduce((sum, { trainingFlops }) => sum + trainingFlops, 0)));
  }
}

function expectSameQuestion(results: readonly EvaluationResults[]): void {
  const [first] = results;
  if (first === undefined) {
    throw new CadreError("invalid-argument", "compare: expected the results of at least one training seed, got none");
  }
  const seeds = results.map(({ trainingSeed }) => trainingSeed);
  if (new Set(seeds).size !== seeds.length) {
    throw new CadreError("mismatch", `compare: expected different training seeds, got ${seeds.join(", ")}`);
  }
  for (const { tasks, identity, trainingSeed } of results) {
    const other = tasks.find(
      (task, index) => task.sha256 !== first.tasks[index]?.sha256 || task.name !== first.tasks[index]?.name,
    );
    if (tasks.length !== first.tasks.length || other !== undefined) {
      throw new CadreError(
        "mismatch",
        `compare: expected the same rows of the same tasks for every seed, found others for seed ${trainingSeed}${other === undefined ? "" : ` in "${other.name}"`}`,
      );
    }
    if (sortedJson(identity) !== sortedJson(first.identity)) {
      throw new CadreError(
        "mismatch",
        `compare: expected the same base and settings for every seed, found ${sortedJson(identity)} for seed ${trainingSeed} and ${sortedJson(first.identity)} for seed ${first.trainingSeed}`,
      );
    }
  }
}

function expectSameNames(values: readonly SuiteValues[]): void {
  const described = values.map(({ figures, experts }) =>
    JSON.stringify([[...figures.keys()], experts.map(({ label }) => label)]),
  );
  if (new Set(described).size > 1) {
    throw new CadreError(
      "mismatch",
      `compare: expected the same systems and experts for every seed, found ${[...new Set(described)].join(" and ")}`,
    );
  }
}

/** JSON that does not depend on the order of keys. */
function sortedJson(value: EvaluationResults["identity"]): string {
  return JSON.stringify([
    value.base,
    Object.entries(value.settings).sort(([left], [right]) => (left < right ? -1 : 1)),
  ]);
}

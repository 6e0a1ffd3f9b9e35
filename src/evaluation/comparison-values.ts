import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import { groupBy } from "../core/group-by.js";
import { mean } from "../core/numbers.js";
import { hashText } from "../core/random.js";
import { instanceMeans } from "./bootstrap.js";
import { crossFit, drawHalves } from "./cross-fit.js";
import { chance, isCorrect, majorityClass } from "./rank-classification.js";
import type { EvaluationResults, ExpertRecord, SystemName, TaskRecord } from "./results-schema.js";
import { textMetrics } from "./text-metrics.js";

/** Figures of tasks that experts were trained on, in the order of the table. */
export const SEEN_FIGURES = [
  "base",
  "multitask",
  "multitaskOneBudget",
  "expert",
  "auto",
  "routingAccuracy",
  "majority",
  "chance",
] as const;

/** Figures of other tasks, in the order of the table. */
export const UNSEEN_FIGURES = [
  "base",
  "multitask",
  "multitaskOneBudget",
  "retrieved",
  "mergedTop3",
  "bestSingle",
  "oracle",
  "random",
  "majority",
  "chance",
] as const;

/** The name of a figure, as in `results.json` of the quickstart. */
export type FigureName = (typeof SEEN_FIGURES)[number] | (typeof UNSEEN_FIGURES)[number];

/** What one training seed's results say about the tasks of a suite. */
export interface SuiteValues {
  readonly tasks: readonly TaskRecord[];
  /** `[task][instance]`, 0 to 1: an instance's mean over its templates. Figures that the results have no cells for are absent. */
  readonly figures: ReadonlyMap<FigureName, readonly (readonly number[])[]>;
  /** For every expert with a cell in the suite its mean on every task, null without a cell. */
  readonly experts: readonly { readonly label: string; readonly means: readonly (number | null)[] }[];
  /** The expert that most rows were routed to (by its largest weight), and their share of all rows. */
  readonly mostPicked?: { readonly label: string; readonly share: number };
}

/**
 * The figures of a suite by their definitions:
 * - `expert`: each row is answered by the expert of its task (and template, where experts have one);
 * - `auto`, `retrieved`: by what the row was routed to;
 * - `routingAccuracy`: 1 where the row's largest weight went to an expert of its task, whatever its template;
 * - `random`: the mean over all experts, which is what a random one has on average;
 * - `oracle`: the best expert of each task; `bestSingle`: the one with the best mean over tasks; both cross-fitted, halves by instance;
 * - `majority`: the most frequent answer of the training rows, of each template where these have answers of their own, judged by the task's metric
 *   as systems are; where it is not known, cross-fitted on the same halves;
 * - `chance`: the share of right choices; 0 without choices.
 * @returns undefined where the suite has no task
 * @throws CadreError `invalid-argument` for a task with fewer than two instances, or where a system has cells of some of the suite's tasks only.
 */
export function suiteValues(
  results: EvaluationResults,
  { suite, seed }: { readonly suite: TaskRecord["suite"]; readonly seed: number },
): SuiteValues | undefined {
  const tasks = results.tasks.filter((task) => task.suite === suite);
  if (tasks.length === 0) {
    return undefined;
  }
  const instances = tasks.map(groupByInstance);
  const taskByInstance = (values: readonly number[], task: number): number[] =>
    instanceMeans(at(instances, task).map((group) => group.map((row) => at(values, row))));
  const halves = tasks.map(({ name }, task) =>
    drawHalves(at(instances, task).length, { seed, stream: hashText(name) }),
  );
  const lookup = scoreLookup(results);
  const scoresOn = (system: SystemName): RowScores | undefined => suiteScores(lookup, { system, tasks });
  const routed = scoresOn("routed") ?? followRoutes(lookup, { results, tasks });
  const computed: Partial<Record<FigureName, readonly (readonly number[])[] | undefined>> = {
    base: scoresOn("base")?.map(taskByInstance),
    multitask: scoresOn("multitask")?.map(taskByInstance),
    multitaskOneBudget: scoresOn("multitaskOneBudget")?.map(taskByInstance),
    chance: tasks.map(chanceByRow).map(taskByInstance),
    majority: tasks
      .map((task, index) => majorityByRow(task, { instances: at(instances, index), inFirstHalf: at(halves, index) }))
      .map(taskByInstance),
    ...(suite === "seen"
      ? {
          expert: ownExpert(lookup, { results, tasks })?.map(taskByInstance),
          auto: routed?.map(taskByInstance),
          routingAccuracy: routingAccuracy(results, tasks)?.map(taskByInstance),
        }
      : {
          retrieved: routed?.map(taskByInstance),
          mergedTop3: scoresOn("mergedTop3")?.map(taskByInstance),
          ...expertBounds(
            everyExpert(lookup, { results, tasks }).map((rows) => rows.map(taskByInstance)),
            halves,
          ),
        }),
  };
  const order: readonly FigureName[] = suite === "seen" ? SEEN_FIGURES : UNSEEN_FIGURES;
  const labels = expertLabels(results.experts);
  const mostPicked = findMostPicked({ results, tasks }, labels);
  return {
    tasks,
    figures: new Map(
      order.flatMap((name) => {
        const values = computed[name];
        return values === undefined ? [] : [[name, values] as const];
      }),
    ),
    experts: results.experts.flatMap(({ id }) => {
      const means = tasks.map((task, position) => {
        const scores = lookup(`expert:${id}`, task);
        return scores === undefined ? null : mean(taskByInstance(scores, position));
      });
      return means.every((value) => value === null) ? [] : [{ label: labels.get(id) ?? id, means }];
    }),
    ...(mostPicked === undefined ? {} : { mostPicked }),
  };
}

/** For every instance, in order of appearance, the numbers of its rows. */
function groupByInstance({ name, rows }: TaskRecord): number[][] {
  const groups = [...groupBy(rows.keys(), (row) => at(rows, row).instance).values()];
  if (groups.length < 2) {
    throw new CadreError(
      "invalid-argument",
      `comparison: task "${name}": expected two instances or more, got ${groups.length}; leave the task out or give it more rows`,
    );
  }
  return groups;
}

type RowScores = readonly (readonly number[])[];

/** The scores of a system on a task, where it was evaluated there. */
type ScoreLookup = (system: SystemName, task: TaskRecord) => readonly number[] | undefined;

interface SuiteTasks {
  readonly results: EvaluationResults;
  readonly tasks: readonly TaskRecord[];
}

function scoreLookup({ cells }: EvaluationResults): ScoreLookup {
  const bySystem = new Map(
    [...groupBy(cells, ({ system }) => system)].map(([system, own]) => [
      system,
      new Map(own.map(({ task, scores }) => [task, scores])),
    ]),
  );
  return (system, { name }) => bySystem.get(system)?.get(name);
}

/** Scores of a system on all tasks, or undefined where it has none at all. */
function suiteScores(
  lookup: ScoreLookup,
  { system, tasks }: { readonly system: SystemName; readonly tasks: readonly TaskRecord[] },
): RowScores | undefined {
  const found = tasks.map((task) => lookup(system, task));
  const complete = found.flatMap((scores) => (scores === undefined ? [] : [scores]));
  if (complete.length > 0 && complete.length < tasks.length) {
    throw missingCell(system, at(tasks, found.indexOf(undefined)));
  }
  return complete.length === 0 ? undefined : complete;
}

/** The scores of all experts on all tasks; none where no expert was evaluated on them. `[expert][task][row]` */
function everyExpert(lookup: ScoreLookup, { results, tasks }: SuiteTasks): RowScores[] {
  const systems = results.experts.map(({ id }): SystemName => `expert:${id}`);
  const found = systems.map((system) => suiteScores(lookup, { system, tasks }));
  const complete = found.flatMap((rows) => (rows === undefined ? [] : [rows]));
  if (complete.length > 0 && complete.length < systems.length) {
    throw missingCell(at(systems, found.indexOf(undefined)), at(tasks, 0));
  }
  return complete;
}

function missingCell(system: SystemName, task: TaskRecord): CadreError {
  return new CadreError(
    "invalid-argument",
    `comparison: expected a cell of ${system} on "${task.name}", found none; finish the evaluation`,
    { details: { system, task: task.name } },
  );
}

/** The scores of the expert that each row was routed to. */
function followRoutes(lookup: ScoreLookup, { results, tasks }: SuiteTasks): RowScores | undefined {
  const routes = routesOf(results, tasks);
  return routes?.map((rows, index) => {
    const task = at(tasks, index);
    return rows.map((experts, row) => {
      const [only] = experts;
      if (experts.length > 1 || (only !== undefined && only.weight !== 1)) {
        throw new CadreError(
          "invalid-argument",
          `comparison: "${task.name}", row ${row}: expected a cell of routed, as the row is answered by weighted experts, found none`,
        );
      }
      const system: SystemName = only === undefined ? "base" : `expert:${only.id}`;
      const scores = lookup(system, task);
      if (scores === undefined) {
        throw missingCell(system, task);
      }
      return at(scores, row);
    });
  });
}

type Routes = EvaluationResults["routes"][number]["rows"];

/** The routes of all tasks, or undefined where none has any. */
function routesOf({ routes }: EvaluationResults, tasks: readonly TaskRecord[]): Routes[] | undefined {
  const found = tasks.map(({ name }) => routes.find(({ task }) => task === name)?.rows);
  const complete = found.flatMap((rows) => (rows === undefined ? [] : [rows]));
  if (complete.length > 0 && complete.length < tasks.length) {
    throw new CadreError(
      "invalid-argument",
      `comparison: expected routes of every ${at(tasks, 0).suite} task or of none, found none of "${at(tasks, found.indexOf(undefined)).name}"`,
    );
  }
  return complete.length === 0 ? undefined : complete;
}

/** The expert with the largest weight, of equal ones the first; undefined where the base answers. */
function firstPick(experts: Routes[number]): string | undefined {
  return experts.reduce<Routes[number][number] | undefined>(
    (best, expert) => (best === undefined || expert.weight > best.weight ? expert : best),
    undefined,
  )?.id;
}

function routingAccuracy(results: EvaluationResults, tasks: readonly TaskRecord[]): RowScores | undefined {
  const taskOf = new Map(results.experts.map(({ id, task }) => [id, task]));
  return routesOf(results, tasks)?.map((rows, index) =>
    rows.map((experts) => {
      const pick = firstPick(experts);
      return pick !== undefined && taskOf.get(pick) === at(tasks, index).name ? 1 : 0;
    }),
  );
}

function findMostPicked(
  { results, tasks }: SuiteTasks,
  labels: ReadonlyMap<string, string>,
): SuiteValues["mostPicked"] {
  const rows = routesOf(results, tasks)?.flat() ?? [];
  const counts = groupBy(
    rows.flatMap((experts) => firstPick(experts) ?? []),
    (id) => id,
  );
  const [most] = [...counts].sort(([, left], [, right]) => right.length - left.length);
  return most && { label: labels.get(most[0]) ?? most[0], share: most[1].length / rows.length };
}

/** Scores of each row's own expert; undefined where no expert belongs to any of the tasks. */
function ownExpert(lookup: ScoreLookup, { results, tasks }: SuiteTasks): RowScores | undefined {
  const names = new Set(tasks.map(({ name }) => name));
  if (!results.experts.some(({ task }) => names.has(task))) {
    return undefined;
  }
  return tasks.map((task) => {
    const own = results.experts.filter((expert) => expert.task === task.name);
    return task.rows.map(({ template }, row) => {
      const fitting = own.filter((expert) => expert.template === undefined || expert.template === template);
      const [expert] = fitting;
      if (expert === undefined || fitting.length > 1) {
        throw new CadreError(
          "invalid-argument",
          `comparison: task "${task.name}", template "${template}": expected one expert, got ${fitting.map(({ id }) => id).join(", ") || "none"}`,
        );
      }
      const scores = lookup(`expert:${expert.id}`, task);
      if (scores === undefined) {
        throw missingCell(`expert:${expert.id}`, task);
      }
      return at(scores, row);
    });
  });
}

/** @param experts `[expert][task][instance]` */
function expertBounds(
  experts: readonly (readonly (readonly number[])[])[],
  halves: readonly (readonly boolean[])[],
): Partial<Record<FigureName, readonly (readonly number[])[]>> {
  if (experts.length === 0) {
    return {};
  }
  const tasks = halves.map((inFirstHalf, task) => ({ values: experts.map((rows) => at(rows, task)), inFirstHalf }));
  return {
    bestSingle: crossFit(tasks).values,
    oracle: tasks.flatMap((task) => crossFit([task]).values),
    random: tasks.map(({ values, inFirstHalf }) =>
      inFirstHalf.map((_, instance) => mean(values.map((row) => at(row, instance)))),
    ),
  };
}

function chanceByRow({ choices: shared, rows }: TaskRecord): number[] {
  return rows.map(({ targets, choices = shared }) => (choices === undefined ? 0 : chance([{ targets, choices }])));
}

function majorityByRow(
  { metric, choices, majority, majorityByTemplate = {}, rows }: TaskRecord,
  {
    instances,
    inFirstHalf,
  }: { readonly instances: readonly (readonly number[])[]; readonly inFirstHalf: readonly boolean[] },
): number[] {
  const fitted = [false, true].map((half) => {
    const own = instances.flatMap((group, instance) =>
      inFirstHalf[instance] === half ? group.map((row) => at(rows, row)) : [],
    );
    // Templates that share their choices share their answers too.
    const groups = choices === undefined ? groupBy(own, ({ template }) => template) : new Map<string, typeof own>();
    const byTemplate = new Map([...groups].map(([template, group]) => [template, majorityClass(group)]));
    return { all: majorityClass(own), byTemplate };
  });
  const known = new Map(Object.entries(majorityByTemplate));
  const score = textMetrics.get(metric);
  const values = rows.map(() => 0);
  instances.forEach((group, instance) => {
    const { all, byTemplate } = at(fitted, inFirstHalf[instance] ? 0 : 1);
    for (const row of group) {
      const { template, targets } = at(rows, row);
      const prediction = known.get(template) ?? majority ?? byTemplate.get(template) ?? all;
      values[row] = score === undefined ? Number(isCorrect({ prediction, targets })) : score(prediction, targets);
    }
  });
  return values;
}

/** By id: the task, with the template where there is one; the id where two experts would be called the same. */
function expertLabels(experts: readonly ExpertRecord[]): Map<string, string> {
  const groups = groupBy(experts, ({ task, template }) => (template === undefined ? task : `${task} / ${template}`));
  return new Map([...groups].flatMap(([label, own]) => own.map(({ id }) => [id, own.length > 1 ? id : label])));
}

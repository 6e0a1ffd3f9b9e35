import { at } from "../core/at.js";
import { mean } from "../core/numbers.js";
import {
  excludesZero,
  meanInterval,
  pairedInterval,
  percentileInterval,
  resampledMeans,
} from "../evaluation/bootstrap.js";
import { type Cell, type Estimate, REPORT_FORMAT, REPORT_FORMAT_VERSION, type Report } from "../report/report.js";
import { type CardRecipe, type CardResult, cardArms } from "./base-card-result.js";

const [EXPERT, FULL, FROZEN] = cardArms;
const RESAMPLES = 10_000;

/** How the results were made. */
export interface CardProtocol {
  readonly recipe: CardRecipe;
  readonly seeds: number;
  readonly inputLength: number;
}

/** What was found after a number of steps. */
export interface CardResults {
  readonly steps: number;
  readonly sets: readonly CardResult[];
}

/** The report of `studyBaseCard`: accuracies and paired differences in percent, with 95 % intervals over seeds and rows. */
export function baseCardReport(results: readonly CardResults[], protocol: CardProtocol): Report {
  const { recipe, seeds } = protocol;
  return {
    format: REPORT_FORMAT,
    formatVersion: REPORT_FORMAT_VERSION,
    title: "What the base adds",
    subtitle: `Accuracy in percent after ${recipe.steps.join(" and ")} steps of about 32 rows, ${seeds} seeds`,
    createdAt: new Date().toISOString(),
    sections: results.flatMap(({ steps, sets }) => sectionsAfter(steps, sets, protocol)),
  };
}

function sectionsAfter(
  steps: number,
  results: readonly CardResult[],
  { recipe, seeds, inputLength }: CardProtocol,
): Report["sections"] {
  const rows = results.map((result): Cell[] => [
    result.set,
    result.choices,
    accuracy(result.arms[EXPERT].correct),
    accuracy(result.arms[FULL].correct),
    accuracy(result.arms[FROZEN].correct),
    accuracy([result.bagOfWords]),
    100 * mean(result.majority),
  ]);
  const others = [
    { name: FULL, correct: (result: CardResult) => result.arms[FULL].correct },
    { name: FROZEN, correct: (result: CardResult) => result.arms[FROZEN].correct },
    { name: "bag of words", correct: (result: CardResult) => repeated(result.bagOfWords, seeds) },
  ].map(({ name, correct }) => ({
    name,
    bySet: results.map((result) => ({
      set: result.set,
      ...pairedInterval({ first: result.arms[EXPERT].correct, second: correct(result) }),
    })),
    ofMeans: meanDifference(results, correct),
  }));
  const means = (of: (result: CardResult) => readonly (readonly number[])[]): number =>
    mean(results.map((result) => 100 * mean(of(result).map(mean))));
  return [
    {
      title: `Accuracy after ${steps} steps`,
      blocks: [
        {
          type: "table",
          bestWithin: "row",
          columns: [
            { title: "set" },
            { title: "choices" },
            ...[EXPERT, FULL, FROZEN, "bag of words", "majority"].map((title) => ({
              title,
              digits: 1,
              best: "highest" as const,
            })),
          ],
          rows: [
            ...rows,
            [
              "mean",
              null,
              means(({ arms }) => arms[EXPERT].correct),
              means(({ arms }) => arms[FULL].correct),
              means(({ arms }) => arms[FROZEN].correct),
              means(({ bagOfWords }) => [bagOfWords]),
              means(({ majority }) => [majority]),
            ],
          ],
        },
        {
          type: "text",
          text: `Experts: ${recipe.expert === "full" ? "all weights" : recipe.expert}; adapters: ${recipe.adapter}; loss over ${recipe.loss}. Inputs are cut to ${inputLength} tokens for every trained arm; bag of words (logistic regression on tf-idf, its regularisation chosen on the same validation rows) reads them whole. Intervals: 95 %, bootstrap over seeds and rows. Those of the mean resample rows within each set, and seeds for all sets together. Test rows were used for nothing else.`,
        },
      ],
    },
    {
      title: `The expert against the others after ${steps} steps`,
      blocks: [
        {
          type: "table",
          caption: "Paired differences in percentage points, expert minus the other",
          columns: [
            { title: "set" },
            ...others.flatMap(({ name }) => [
              { title: name, digits: 1 },
              { title: "", align: "left" as const },
            ]),
          ],
          rows: [
            ...results.map(({ set }, index): Cell[] => [
              set,
              ...others.flatMap(({ bySet }) => differenceCells(at(bySet, index))),
            ]),
            ["mean", ...others.flatMap(({ ofMeans }) => differenceCells(ofMeans))],
          ],
        },
        ...others.map(({ name, bySet }) => ({ type: "text" as const, text: whereResolved(name, bySet) })),
      ],
    },
    {
      title: `Learning rates chosen on validation rows for ${steps} steps`,
      blocks: [
        {
          type: "table",
          columns: [{ title: "set" }, { title: "training rows" }, ...cardArms.map((title) => ({ title }))],
          rows: results.map(({ set, trainRows, arms }) => [
            set,
            trainRows,
            ...cardArms.map((arm) => arms[arm].learningRate),
          ]),
        },
      ],
    },
  ];
}

/** On which sets the expert is ahead of another system, and where that is ahead of it. */
function whereResolved(name: string, differences: readonly (Difference & { readonly set: string })[]): string {
  const sets = (sign: number): string =>
    differences
      .filter(({ mean: difference, resolved }) => resolved && Math.sign(difference) === sign)
      .map(({ set }) => set)
      .join(", ") || "no set";
  return `Resolved against ${name}: the expert is ahead on ${sets(1)}, and behind on ${sets(-1)}.`;
}

/** The expert minus another arm, mean over sets: each resample draws seeds for all sets, and rows within each. */
function meanDifference(
  results: readonly CardResult[],
  other: (result: CardResult) => readonly (readonly number[])[],
): Difference {
  const sets = results.map((result, set) => {
    const systems = [result.arms[EXPERT].correct, other(result)];
    const [expert, second] = resampledMeans(systems, { stream: set + 1, resamples: RESAMPLES });
    const [own, others] = systems.map((rows) => mean(rows.map(mean)));
    return {
      value: (own ?? 0) - (others ?? 0),
      at: (sample: number) => (expert?.[sample] ?? 0) - (second?.[sample] ?? 0),
    };
  });
  const resampled = Float64Array.from({ length: RESAMPLES }, (_, sample) => mean(sets.map((set) => set.at(sample))));
  const interval = percentileInterval(resampled);
  return { mean: mean(sets.map(({ value }) => value)), ...interval, resolved: excludesZero(interval) };
}

function differenceCells(difference: Difference): Cell[] {
  return [percent(difference), difference.resolved ? (difference.mean > 0 ? "better" : "worse") : "not resolved"];
}

function accuracy(values: readonly (readonly number[])[]): Estimate {
  return percent(meanInterval(values));
}

interface Estimated {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

interface Difference extends Estimated {
  readonly resolved: boolean;
}

function percent({ mean: value, low, high }: Estimated): Estimate {
  return { value: 100 * value, low: 100 * low, high: 100 * high };
}

function repeated(values: readonly number[], times: number): (readonly number[])[] {
  return Array.from({ length: times }, () => values);
}

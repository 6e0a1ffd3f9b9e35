import { mean } from "../core/numbers.js";
import { meanInterval, pairedInterval } from "../evaluation/bootstrap.js";
import { type Cell, type Estimate, REPORT_FORMAT, REPORT_FORMAT_VERSION, type Report } from "../report/report.js";
import { type CardRecipe, type CardResult, cardArms } from "./base-card-result.js";

const [EXPERT, FULL, FROZEN] = cardArms;

/** How the results were made. */
export interface CardProtocol {
  readonly recipe: CardRecipe;
  readonly seeds: number;
  readonly inputLength: number;
}

/** The report of `studyBaseCard`: accuracies and paired differences in percent, with 95 % intervals over seeds and rows. */
export function baseCardReport(results: readonly CardResult[], { recipe, seeds, inputLength }: CardProtocol): Report {
  const rows = results.map((result): Cell[] => [
    result.set,
    result.choices,
    accuracy(result.arms[EXPERT].correct),
    accuracy(result.arms[FULL].correct),
    accuracy(result.arms[FROZEN].correct),
    accuracy([result.bagOfWords]),
    100 * mean(result.majority),
  ]);
  const differences = results.map((result): Cell[] => [
    result.set,
    ...[result.arms[FULL].correct, result.arms[FROZEN].correct, repeated(result.bagOfWords, seeds)].flatMap(
      (other): Cell[] => {
        const difference = pairedInterval({ first: result.arms[EXPERT].correct, second: other });
        return [percent(difference), difference.resolved ? (difference.mean > 0 ? "better" : "worse") : "not resolved"];
      },
    ),
  ]);
  const means = (of: (result: CardResult) => readonly (readonly number[])[]): number =>
    mean(results.map((result) => 100 * mean(of(result).map(mean))));
  return {
    format: REPORT_FORMAT,
    formatVersion: REPORT_FORMAT_VERSION,
    title: "What the base adds",
    subtitle: `Accuracy in percent after ${recipe.steps} steps of about 32 rows, ${seeds} seeds`,
    createdAt: new Date().toISOString(),
    sections: [
      {
        title: "Accuracy",
        blocks: [
          {
            type: "table",
            bestWithin: "row",
            columns: [
              { title: "set" },
              { title: "choices" },
              ...[EXPERT, FULL, FROZEN, "bag of words"].map((title) => ({
                title,
                digits: 1,
                best: "highest" as const,
              })),
              { title: "majority", digits: 1 },
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
            text: `Experts: ${recipe.delta}, loss over ${recipe.loss}. Inputs are cut to ${inputLength} tokens for every trained arm; bag of words (logistic regression on tf-idf, its regularisation chosen on the same validation rows) reads them whole. Intervals: 95 %, bootstrap over seeds and rows. Test rows were used for nothing else.`,
          },
        ],
      },
      {
        title: "The expert against the others",
        blocks: [
          {
            type: "table",
            caption: "Paired differences in percentage points, expert minus the other",
            columns: [
              { title: "set" },
              ...["all weights from random", "adapters on frozen random weights", "bag of words"].flatMap((title) => [
                { title, digits: 1 },
                { title: "", align: "left" as const },
              ]),
            ],
            rows: differences,
          },
        ],
      },
      {
        title: "Learning rates chosen on validation rows",
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
    ],
  };
}

function accuracy(values: readonly (readonly number[])[]): Estimate {
  return percent(meanInterval(values));
}

function percent({
  mean: value,
  low,
  high,
}: {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}): Estimate {
  return { value: 100 * value, low: 100 * low, high: 100 * high };
}

function repeated(values: readonly number[], times: number): (readonly number[])[] {
  return Array.from({ length: times }, () => values);
}

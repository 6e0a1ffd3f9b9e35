import type {
  ComparedFigure,
  ComparedPair,
  Comparison,
  DifferenceFigure,
  Figure,
  SuiteComparison,
} from "../evaluation/comparison.js";
import type { FigureName } from "../evaluation/comparison-values.js";
import {
  type BarsBlock,
  type Block,
  type Cell,
  type Column,
  type Estimate,
  REPORT_FORMAT,
  REPORT_FORMAT_VERSION,
  type Report,
  type Section,
  type TableBlock,
} from "./report.js";

/** Figures in words. */
const TITLES: Readonly<Record<FigureName, string>> = {
  base: "base",
  multitask: "multitask, sum of all steps",
  multitaskOneBudget: "multitask, one expert's steps",
  expert: "own expert",
  auto: "auto (routed)",
  routingAccuracy: "routing accuracy",
  retrieved: "retrieved",
  mergedTop3: "merged top 3",
  bestSingle: "best single expert (cross-fitted)",
  oracle: "oracle (cross-fitted)",
  random: "random expert",
  majority: "majority class",
  chance: "chance",
};

/** The same where many stand side by side. */
const SHORT_TITLES: Readonly<Record<FigureName, string>> = {
  ...TITLES,
  multitask: "multitask",
  multitaskOneBudget: "one budget",
  expert: "expert",
  auto: "auto",
  routingAccuracy: "routing",
  mergedTop3: "top 3",
  bestSingle: "best single",
  oracle: "oracle",
  random: "random",
  majority: "majority",
};

/** Those that are drawn as bars, with baselines as marks. */
const BARS: readonly FigureName[] = ["base", "multitask", "expert", "auto", "retrieved", "mergedTop3"];
const REFERENCES: readonly FigureName[] = ["chance", "majority"];
/** More tasks than this make bars nobody reads. */
const MOST_BAR_GROUPS = 24;

/** Training seeds from which a claim may be made. */
const SEEDS_OF_A_CLAIM = 3;

/** Tells where a comparison comes from. */
export interface ComparisonReportOptions {
  readonly title: string;
  readonly subtitle?: string;
  /** Stands under the title of the first section: what was trained, for how long. */
  readonly text?: string;
}

/** The report of a comparison: seen tasks first. Percentages; a difference that its interval does not resolve is called so. */
export function comparisonReport(comparison: Comparison, { title, subtitle, text }: ComparisonReportOptions): Report {
  const { seen, unseen } = comparison;
  const sections = [
    ...(seen === undefined ? [] : [suiteSection("Your tasks: seen in training, other rows", seen, comparison)]),
    ...(unseen === undefined ? [] : [suiteSection("Unseen tasks: no expert was trained on them", unseen, comparison)]),
  ];
  return {
    format: REPORT_FORMAT,
    formatVersion: REPORT_FORMAT_VERSION,
    title,
    ...(subtitle === undefined ? {} : { subtitle }),
    createdAt: new Date().toISOString(),
    sections:
      text === undefined ? sections : [{ title: "What was done", blocks: [{ type: "text", text }] }, ...sections],
  };
}

function suiteSection(title: string, suite: SuiteComparison, comparison: Comparison): Section {
  return {
    title,
    blocks: [
      figuresTable(suite, comparison),
      { type: "text", text: howSure(suite, comparison) },
      ...claimsTable(suite),
      tasksTable(suite),
      ...writtenTable(suite),
      ...bars(suite),
      ...heatMap(suite),
    ],
  };
}

function figuresTable({ figures, differences, tasks }: SuiteComparison, { seeds }: Comparison): TableBlock {
  const againstBase = new Map(differences.flatMap((pair) => (pair.second === "base" ? [[pair.first, pair.mean]] : [])));
  const rows = tasks.reduce((sum, task) => sum + task.rows, 0);
  return {
    type: "table",
    caption: `Mean over ${count(tasks.length, "task")}, ${count(rows, "row")}. ${seedsInWords(seeds)}`,
    columns: [
      { title: "system" },
      { title: metricOf(tasks), unit: "%", digits: 1 },
      { title: "minus base", unit: "points", digits: 1 },
      { title: "", align: "left" },
      { title: "training", unit: "FLOP", align: "right" },
    ],
    rows: figures.map(({ name, mean, trainingFlops }): Cell[] => {
      const difference = againstBase.get(name);
      return [
        TITLES[name],
        estimate(mean),
        difference === undefined ? "" : estimate(difference),
        difference === undefined ? "" : verdict(difference),
        trainingFlops === undefined ? "" : trainingFlops === 0 ? 0 : trainingFlops.toExponential(1),
      ];
    }),
  };
}

function claimsTable({ differences }: SuiteComparison): Block[] {
  const claims = differences.filter(({ second }) => second !== "base");
  if (claims.length === 0) {
    return [];
  }
  return [
    {
      type: "table",
      caption: "Paired differences in percentage points",
      columns: [
        { title: "first" },
        { title: "second" },
        { title: "first minus second", digits: 1 },
        { title: "the first is", align: "left" },
      ],
      rows: claims.map((pair) => [
        TITLES[pair.first],
        TITLES[pair.second],
        estimate(pair.mean),
        isRegret(pair) ? regretVerdict(pair.mean) : verdict(pair.mean),
      ]),
    },
  ];
}

function tasksTable({ figures, differences, tasks }: SuiteComparison): TableBlock {
  const [main] = differences.filter(
    ({ first, second }) => second === "base" && (first === "auto" || first === "retrieved"),
  );
  const shown: Column[] = figures.map(({ name }) => ({ title: SHORT_TITLES[name], digits: 1 }));
  return {
    type: "table",
    caption: "By task, in percent",
    columns: [
      { title: "task" },
      { title: "rows" },
      ...shown,
      ...(main === undefined
        ? []
        : [
            { title: `${SHORT_TITLES[main.first]} minus base`, digits: 1 },
            { title: "", align: "left" as const },
          ]),
    ],
    rows: tasks.map(({ name, rows }, task): Cell[] => {
      const difference = main?.perTask[task];
      return [
        name,
        rows,
        ...figures.map(({ perTask }) => perTask[task]?.mean ?? null),
        ...(difference === undefined ? [] : [estimate(difference), verdict(difference)]),
      ];
    }),
  };
}

/** Where answers are written, exact match alone says little of longer ones. */
function writtenTable({ written = [] }: SuiteComparison): Block[] {
  const names = written[0]?.figures.map(({ name }) => name) ?? [];
  if (names.length === 0) {
    return [];
  }
  return [
    {
      type: "table",
      caption: "Written answers: the same answers by stricter and softer metrics, in percent",
      columns: [{ title: "system" }, ...written.map(({ metric }) => ({ title: metric, digits: 1 }))],
      rows: names.map((name): Cell[] => [
        TITLES[name],
        ...written.map(({ figures }) => {
          const found = figures.find((figure) => figure.name === name);
          return found === undefined ? null : estimate(found.mean);
        }),
      ]),
    },
  ];
}

function bars({ figures, tasks }: SuiteComparison): BarsBlock[] {
  const among = (names: readonly FigureName[]): ComparedFigure[] => figures.filter(({ name }) => names.includes(name));
  const series = among(BARS);
  if (series.length === 0 || tasks.length > MOST_BAR_GROUPS) {
    return [];
  }
  return [
    {
      type: "bars",
      title: "Each task",
      axis: { title: metricOf(tasks), unit: "%" },
      groups: tasks.map(({ name }) => name),
      series: series.map(({ name, perTask }) => ({ name: TITLES[name], values: perTask.map(estimate) })),
      references: among(REFERENCES).map(({ name, perTask }) => ({
        name: TITLES[name],
        values: perTask.map(({ mean }) => mean),
      })),
      digits: 1,
    },
  ];
}

function heatMap({ experts, tasks }: SuiteComparison): Block[] {
  if (experts.length === 0) {
    return [];
  }
  return [
    {
      type: "heatmap",
      title: "Each expert on each task",
      rows: { title: "expert of", names: experts.map(({ label }) => label) },
      columns: { title: "task", names: tasks.map(({ name }) => name) },
      values: experts.map(({ means }) => means),
      unit: "%",
      digits: 0,
    },
  ];
}

function howSure({ figures, mostPicked }: SuiteComparison, { level, seeds }: Comparison): string {
  const has = (name: FigureName): boolean => figures.some((figure) => figure.name === name);
  return [
    `Intervals: ${100 * level} %, bootstrap of instances with all their templates within each task${seeds > 1 ? ", and of training seeds" : ""}; differences are paired. Where an interval holds zero, or too few rows differ, nothing is resolved.`,
    ...(has("oracle")
      ? [
          "Oracle (the best expert of each task) and best single expert were chosen on one half of the rows and scored on the other, both ways. Regret is what routing loses against the oracle.",
        ]
      : []),
    ...(has("expert") || has("retrieved")
      ? ["Training FLOP of whatever chooses among experts are those of all experts together."]
      : []),
    ...(mostPicked === undefined
      ? []
      : [`Most rows were routed to **${mostPicked.label}**: ${mostPicked.share.toFixed(0)} % of them.`]),
  ].join("\n\n");
}

function seedsInWords(seeds: number): string {
  if (seeds === 1) {
    return "One seed: intervals cover rows only.";
  }
  return `${seeds} training seeds${seeds < SEEDS_OF_A_CLAIM ? `: fewer than the ${SEEDS_OF_A_CLAIM} that a claim needs` : ""}.`;
}

/** What the figures measure, if that is one thing. */
function metricOf(tasks: SuiteComparison["tasks"]): string {
  const [metric, ...others] = new Set(tasks.map((task) => task.metric));
  return metric === undefined || others.length > 0 ? "score" : metric;
}

function verdict({ resolved, mean }: DifferenceFigure): string {
  return resolved ? (mean > 0 ? "better" : "worse") : "not resolved";
}

function isRegret({ first, second }: ComparedPair): boolean {
  return first === "oracle" && second === "retrieved";
}

/** A cross-fitted oracle may lose: what was best on one half need not be on the other. */
function regretVerdict(difference: DifferenceFigure): string {
  return `${verdict(difference)} (regret)`;
}

function estimate({ mean, low, high }: Figure): Estimate {
  return { value: mean, low, high };
}

function count(number: number, what: string): string {
  return `${new Intl.NumberFormat("en").format(number)} ${what}${number === 1 ? "" : "s"}`;
}

import { at } from "../core/at.js";
import { groupBy } from "../core/group-by.js";
import { mean } from "../core/numbers.js";
import { compare } from "../evaluation/comparison.js";
import type { FigureName } from "../evaluation/comparison-values.js";
import { comparisonReport } from "../report/comparison-report.js";
import {
  type Block,
  type Cell,
  type Estimate,
  REPORT_FORMAT,
  REPORT_FORMAT_VERSION,
  type Report,
  type Section,
} from "../report/report.js";
import { type ElmClaim, type ElmStudy, kindScores, mergeScores } from "./elm-claims.js";
import { composedSystems } from "./elm-composed.js";
import { forgetting, phaseName, splitSets } from "./elm-continual.js";
import { elmKinds } from "./elm-kinds.js";
import { mergeNames } from "./elm-merging.js";
import type { RetrievalResult } from "./elm-retrieval.js";
import {
  differenceOfScores,
  type ElmScores,
  figureOfScores,
  figureScores,
  SEEDS_OF_A_CLAIM,
  scoresOf,
} from "./elm-values.js";

/** The mean over 11 unseen data sets in Jang et al. 2023 (as COT, arXiv 2305.14045, reprints it; best single and oracle from the introduction's differences). */
const PAPER: readonly { readonly system: string; readonly figure: FigureName; readonly paper: number }[] = [
  { system: "base (paper: T5-3B, LM-adapted)", figure: "base", paper: 42.99 },
  { system: "multitask (paper: T0-3B)", figure: "multitask", paper: 51.43 },
  { system: "retrieved prompt expert (paper: RoE)", figure: "retrieved", paper: 53.48 },
  { system: "best single prompt expert", figure: "bestSingle", paper: 54.63 },
  { system: "oracle prompt expert", figure: "oracle", paper: 63.37 },
  { system: "random prompt expert", figure: "random", paper: Number.NaN },
  { system: "majority class", figure: "majority", paper: Number.NaN },
  { system: "chance", figure: "chance", paper: Number.NaN },
];
/** Of the paper's unseen sets, those that the data bundle does not hold. */
const ABSENT = "HellaSwag, StoryCloze and ANLI (three rounds)";
/** Ways of retrieving that are listed one by one. */
const SHOWN_WAYS = 10;

/** The page of the study. */
export function elmReport(study: ElmStudy, claims: readonly ElmClaim[]): Report {
  const { seeds } = study;
  const prompt = comparisonReport(compare(seeds.map((seed) => seed.prompt)), { title: "" });
  const sets = comparisonReport(compare(seeds.map((seed) => seed.sets)), { title: "" });
  const titled = (of: string, sections: readonly Section[]): Section[] =>
    sections.map(({ title, blocks }) => ({ title: `${of}: ${title.toLowerCase().replace("your ", "")}`, blocks }));
  return {
    format: REPORT_FORMAT,
    formatVersion: REPORT_FORMAT_VERSION,
    title: "ELM on public data",
    subtitle: "Experts of prompts and of data sets, retrieved and merged, against one multitask model",
    createdAt: new Date().toISOString(),
    sections: [
      { title: "What was done", blocks: [whatWasDone(study)] },
      {
        title: "The paper's claims",
        blocks: [claimsTable(claims), { type: "text", text: howClaimsAreJudged(seeds.length) }],
      },
      { title: "Beside the paper's numbers", blocks: besidePaper(study) },
      ...titled("Prompt experts", prompt.sections),
      ...titled("Experts of data sets", sets.sections),
      { title: "Negative transfer", blocks: [negativeTransfer(study)] },
      { title: "Retrieval", blocks: retrievalBlocks(study.retrieval) },
      { title: "Kinds of experts at equal steps", blocks: [kindsTable(study)] },
      { title: "Merging", blocks: [mergesTable(study), ...composedTables(study)] },
      { title: "Continual learning", blocks: continualBlocks(study) },
      { title: "Data sets", blocks: dataBlocks(study) },
    ],
  };
}

function whatWasDone({ settings, tasks, seeds, baseName }: ElmStudy): Block {
  const { promptSteps, batchRows, inputLength, limits } = settings;
  const [set] = tasks.train;
  const templates = set?.templates.length ?? 0;
  return {
    type: "text",
    text: [
      `Jang et al. 2023 (ELM, arXiv 2302.03202) at a small scale: base ${baseName}, ${tasks.train.length} data sets to train on, ${templates} promptsource templates each, ${seeds.length === 1 ? "one seed" : `${seeds.length} seeds`}. Prompt experts learn one template for ${promptSteps} steps of about ${batchRows} rows, experts of data sets all templates for ${promptSteps * templates} steps; the multitask model has the sum of all steps on the same rows. Inputs are cut to ${inputLength} tokens for everybody. All weights are trained unless a row says otherwise.`,
      `Each seen set is judged on ${limits.seen} other rows by every template, each unseen one on up to ${limits.unseen}. Rank classification by the sum of log-probabilities, as in ELM. An unseen task is routed by one vote for each template, as in ELM, and merges take the experts with most votes of all templates.`,
      "One command makes all tables and figures, and goes on where it was stopped: **cadre study elm --data ../shared/data**.",
    ].join("\n\n"),
  };
}

function howClaimsAreJudged(seeds: number): string {
  return [
    "First minus second in percentage points, with a paired 95 % interval over training seeds and instances (with all their templates) within each task.",
    seeds < SEEDS_OF_A_CLAIM
      ? `With ${seeds === 1 ? "one seed" : `${seeds} seeds`} no claim is made: ${SEEDS_OF_A_CLAIM} are needed, whatever the interval.`
      : "A claim agrees or disagrees only where the interval excludes zero. Where the paper claims no sign, the table says which is better.",
  ].join(" ");
}

function claimsTable(claims: readonly ElmClaim[]): Block {
  return {
    type: "table",
    columns: [
      { title: "claim" },
      { title: "no.", align: "right" },
      { title: "paper", unit: "points", align: "right" },
      { title: "here", unit: "points", digits: 1, align: "right" },
      { title: "verdict", align: "left" },
      { title: "note", align: "left" },
    ],
    rows: claims.map(({ number, claim, paper, difference, verdict, note }): Cell[] => [
      claim,
      number,
      paper,
      difference === undefined ? "" : estimate(difference),
      verdict,
      note,
    ]),
  };
}

function besidePaper({ seeds, tasks, leftOut }: ElmStudy): Block[] {
  const results = seeds.map((seed) => seed.prompt);
  return [
    {
      type: "table",
      caption: "Mean accuracy on unseen data sets, in percent",
      columns: [{ title: "system" }, { title: "here", digits: 1 }, { title: "paper", digits: 2 }],
      rows: PAPER.flatMap(({ system, figure, paper }): Cell[][] => {
        const scores = figureScores(results, { suite: "unseen", name: figure });
        return scores === undefined ? [] : [[system, estimate(figureOfScores(scores)), paper]];
      }),
    },
    {
      type: "text",
      text: `**Do not compare the columns.** The paper's models have 3 billion parameters, are trained on 36 data sets with 296 prompts and judged on the whole of 11 data sets; here a model of a few million is judged on ${tasks.test.length} of them (${tasks.sets.flatMap(({ role, name, judged }) => (role === "test" && !leftOut.includes(name) ? [`${name} n = ${judged}`] : [])).join(", ")}). ${ABSENT} are not in the data${leftOut.length === 0 ? "" : `; of ${leftOut.join(", ")} it holds only rows with one answer, which a model that always gives it would have right, so that it counts nowhere here`}. Only the order of systems can be compared, and only where the claims above are resolved. The paper's best single expert and oracle were chosen on the rows that they were scored on; here they are cross-fitted.`,
    },
  ];
}

function negativeTransfer({ seeds }: ElmStudy): Block {
  const { seen } = compare(seeds.map((seed) => seed.prompt));
  const pair = seen?.differences.find(({ first, second }) => first === "expert" && second === "multitask");
  return {
    type: "table",
    caption:
      "Own prompt expert minus multitask model on each seen set, in percentage points: above zero the multitask model loses",
    columns: [{ title: "set" }, { title: "difference", digits: 1 }, { title: "", align: "left" }],
    rows: (seen?.tasks ?? []).flatMap(({ name }, index): Cell[][] => {
      const difference = pair?.perTask[index];
      if (difference === undefined) return [];
      const word = difference.mean > 0 ? "negative transfer" : "the multitask model gains";
      return [[name, estimate(difference), difference.resolved ? word : "not resolved"]];
    }),
  };
}

function retrievalBlocks(results: readonly RetrievalResult[]): Block[] {
  const sorted = results.toSorted((one, other) => other.development - one.development);
  const factors: readonly (readonly [string, (one: RetrievalResult) => string])[] = [
    ["encoder", (one) => one.encoder],
    ["text format", (one) => one.format],
    ["S, keys of an expert", (one) => `${one.keys}`],
    ["Q, rows that vote", (one) => `${one.queries}`],
  ];
  return [
    {
      type: "table",
      caption: `Of ${results.length} ways of retrieving prompt experts, the ${Math.min(SHOWN_WAYS, sorted.length)} best on development tasks; accuracy in percent, mean over seeds`,
      columns: [
        { title: "encoder" },
        { title: "text format", align: "left" },
        { title: "S" },
        { title: "Q" },
        { title: "development", digits: 1 },
        { title: "test", digits: 1 },
      ],
      rows: sorted
        .slice(0, SHOWN_WAYS)
        .map((one): Cell[] => [one.encoder, one.format, one.keys, one.queries, one.development, one.test]),
    },
    {
      type: "table",
      caption: "Each factor, averaged over all others",
      columns: [
        { title: "factor" },
        { title: "value", align: "left" },
        { title: "development", digits: 1 },
        { title: "test", digits: 1 },
      ],
      rows: factors.flatMap(([factor, of]) =>
        [...groupBy(results, of)].map(([value, own]): Cell[] => [
          factor,
          value,
          mean(own.map(({ development }) => development)),
          mean(own.map(({ test }) => test)),
        ]),
      ),
    },
  ];
}

function kindsTable({ seeds, settings }: ElmStudy): Block {
  const full = kindScores(seeds, "full");
  return {
    type: "table",
    caption: `Own expert of a data set on ${settings.kindSets.join(", ")}, accuracy in percent; each kind at its own learning rate`,
    columns: [{ title: "trained" }, { title: "accuracy", digits: 1 }, { title: "minus all weights", digits: 1 }],
    rows: elmKinds.map((kind): Cell[] => {
      const scores = kindScores(seeds, kind);
      return [
        kind === "full" ? "all weights" : kind,
        estimate(figureOfScores(scores)),
        kind === "full" ? "" : estimate(differenceOfScores(scores, full)),
      ];
    }),
  };
}

function mergesTable(study: ElmStudy): Block {
  const { seeds } = study;
  const figure = (scores: ElmScores): Estimate => estimate(figureOfScores(scores));
  return {
    type: "table",
    caption:
      "Merges of the experts of data sets on unseen tasks, accuracy in percent. uniform: the mean of all; lambda: the base plus λ times the sum of all task vectors; top: the mean of the experts with most votes",
    columns: [{ title: "merge" }, { title: "development", digits: 1 }, { title: "test", digits: 1 }],
    rows: mergeNames(study).map((id): Cell[] => [
      id,
      figure(mergeScores(seeds, "mergesDevelopment", id)),
      figure(mergeScores(seeds, "mergesTest", id)),
    ]),
  };
}

function composedTables({ seeds }: ElmStudy): Block[] {
  const systems = ["base", "multitask", ...composedSystems.map((id) => `expert:${id}` as const)] as const;
  return [
    {
      type: "table",
      caption:
        "Tasks that take two others, in percent (accuracy where answers are chosen, else ROUGE-L): experts of the parts, their merges with factors 1/2 and 1, and the multitask model of both parts. With a slash: generated, one chained behind the other, held out of pre-training. The others: two tasks of Natural Instructions over the same inputs, both definitions and both answers at once, on rows whose single answers the parts were trained on (cadre-mini has seen these files in its pre-training)",
      columns: [{ title: "task" }, ...systems.map((system) => ({ title: system.replace("expert:", ""), digits: 1 }))],
      rows: (seeds[0]?.composed ?? [])
        .flatMap(({ tasks }) => tasks.map(({ name }) => name))
        .map((name, index): Cell[] => [
          name,
          ...systems.map((system) =>
            estimate(
              figureOfScores(seeds.map(({ composed }) => scoresOf(at(composed, index), { system, tasks: [name] }))),
            ),
          ),
        ]),
    },
  ];
}

function continualBlocks({ seeds, settings, tasks }: ElmStudy): Block[] {
  const names = tasks.train.map(({ name }) => name);
  const { first, later } = splitSets(names, settings.added);
  const lost = seeds.map(({ sequence }) => forgetting(sequence, later));
  const accuracyAfter = (phase: number): number =>
    mean(
      seeds.map(({ sequence }) => {
        const known = [...first, ...later.slice(0, phase)];
        return 100 * mean(scoresOf(sequence, { system: `expert:${phaseName(phase)}`, tasks: known }).map(mean));
      }),
    );
  const expertsAfter = (phase: number): number => {
    const own =
      figureScores(
        seeds.map((seed) => seed.sets),
        { suite: "seen", name: "expert" },
      ) ?? [];
    return 100 * mean(own.map((seed) => mean(seed.slice(0, first.length + phase).map(mean))));
  };
  const phases = Array.from({ length: later.length + 1 }, (_, phase) => phase);
  return [
    {
      type: "curves",
      title: "Mean accuracy on the sets known so far",
      xAxis: { title: "sets added" },
      yAxis: { title: "accuracy", unit: "%" },
      series: [
        { name: "own experts", points: phases.map((x) => ({ x, y: expertsAfter(x) })) },
        { name: "trained in sequence", points: phases.map((x) => ({ x, y: accuracyAfter(x) })) },
      ],
    },
    {
      type: "table",
      caption:
        "Sequential training: accuracy in percent right after a set was learned, and after the last set; mean over seeds",
      columns: [{ title: "set" }, { title: "right after", digits: 1 }, { title: "at the end", digits: 1 }],
      rows: later.map((set, index): Cell[] => [
        set,
        mean(lost.map((one) => at(one, index).learned)),
        mean(lost.map((one) => at(one, index).end)),
      ]),
    },
    {
      type: "table",
      caption:
        "Ledger of routes: rows of earlier sets, each asked alone in a fresh process before and after an expert was added; sum over seeds",
      columns: [
        { title: "added" },
        { title: "rows" },
        { title: "routes kept" },
        { title: "of these identical" },
        { title: "routes changed" },
      ],
      rows: later.map((added, index): Cell[] => {
        const entries = seeds.map(({ ledger }) => at(ledger, index));
        const sum = (of: (entry: (typeof entries)[number]) => number) =>
          entries.reduce((total, entry) => total + of(entry), 0);
        return [
          added,
          sum((one) => one.rows),
          sum((one) => one.kept),
          sum((one) => one.identical),
          sum((one) => one.changed.length),
        ];
      }),
    },
    {
      type: "table",
      caption: "Each route that changed",
      columns: [
        { title: "seeds" },
        { title: "added" },
        { title: "row", align: "left" },
        { title: "from", align: "left" },
        { title: "to", align: "left" },
      ],
      rows: changedRoutes(seeds),
    },
  ];
}

/** Each change once, with the seeds that had it: what is routed by does not depend on them, so they are mostly alike. */
function changedRoutes(seeds: ElmStudy["seeds"]): Cell[][] {
  const all = seeds.flatMap(({ seed, ledger }) =>
    ledger.flatMap(({ added, changed }) =>
      changed.map(({ row, from, to }) => ({ seed, change: [added, row, from, to] })),
    ),
  );
  return [...groupBy(all, ({ change }) => JSON.stringify(change)).values()].map((own): Cell[] => [
    own.map(({ seed }) => seed).join(", "),
    ...at(own, 0).change,
  ]);
}

function dataBlocks({ tasks, leftOut }: ElmStudy): Block[] {
  return [
    {
      type: "text",
      text: "Training, development and test sets come from different source data sets. An evaluation row that shares 13 words in a row, or all its words, with any training or validation row of the study was left out before rows were drawn, so that 0 overlap; of pre-training, docs/results/overlap.md says the same, as every file that is judged by here was held out of it.",
    },
    {
      type: "table",
      caption: "Instances; each is shown by every template of its set",
      columns: [
        { title: "set" },
        { title: "source", align: "left" },
        { title: "role", align: "left" },
        { title: "templates" },
        { title: "training" },
        { title: "validation" },
        { title: "judged (n)" },
        { title: "overlapping, left out" },
        { title: "not usable" },
      ],
      rows: tasks.sets.map((set): Cell[] => [
        set.name,
        set.source,
        leftOut.includes(set.name) ? "left out: one answer" : set.role,
        set.templates,
        set.train,
        set.validation,
        set.judged,
        set.overlapping,
        set.unusable,
      ]),
    },
  ];
}

function estimate({
  mean: value,
  low,
  high,
}: {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}): Estimate {
  return { value, low, high };
}

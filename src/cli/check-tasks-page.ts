import type { LengthCheck, TaskCheck, TemplateCheck } from "../mixtures/task-check.js";
import {
  type Block,
  type Cell,
  type Column,
  REPORT_FORMAT,
  REPORT_FORMAT_VERSION,
  type Report,
  type Section,
} from "../report/report.js";
import type { TasksCheck } from "./check-tasks-result.js";
import { choicesText, shorten } from "./check-tasks-text.js";

/** Bad rows, conflicts and leaks of a task on the page. */
const LISTED = 50;
/** Choices that a picture shows; more would not be readable. */
const DRAWN_CHOICES = 20;
/** Choices that a sentence lists on the page. */
const LISTED_CHOICES = 50;

/** What `cadre check PATH… --html` shows. */
export function tasksPage(check: TasksCheck): Report {
  const { paths, base, recipe, seed, tasks, failed, skipped, problems } = check;
  const left = [
    ...failed.map(({ name, reason }): Cell[] => [name, "failed", reason]),
    ...skipped.map(({ file, reason }): Cell[] => [file, "skipped", reason]),
  ];
  const overview: Block[] = [
    {
      type: "table",
      columns: [
        { title: "task" },
        { title: "choices", align: "left" },
        ...["rows", "bad", "train", "validation", "test"].map((title) => ({ title })),
        ...["duplicates", "different answers", "left out"].map((title) => ({ title })),
        { title: "inputs cut", unit: "%", digits: 1 },
      ],
      rows: tasks.map((task) => overviewRow(task)),
    },
    ...(left.length === 0
      ? []
      : [table("Not read", [{ title: "file or task" }, { title: "what" }, { title: "why" }], left)]),
  ];
  return {
    format: REPORT_FORMAT,
    formatVersion: REPORT_FORMAT_VERSION,
    title: "Your tasks before training",
    subtitle: `${paths.join(", ")}; tokens of ${base}; recipe ${recipe}; seed ${seed}; ${problems === 0 ? "no problems" : `${problems} to mend`}`,
    createdAt: new Date().toISOString(),
    sections: [{ title: "Overview", blocks: overview }, ...tasks.map(taskSection)],
  };
}

function overviewRow(task: TaskCheck): Cell[] {
  const { name, rows, badRows, splitRows, templates, duplicates, conflictCount, leakCount } = task;
  const measured = templates.reduce((sum, { inputTokens }) => sum + inputTokens.measured, 0);
  const cut = templates.reduce((sum, { inputTokens }) => sum + inputTokens.cut, 0);
  const choices = new Set(templates.map((template) => template.choices?.length ?? template.choicesFrom));
  return [
    name,
    [...choices].map((count) => (count === "none" ? "free text" : String(count))).join(", "),
    rows,
    badRows,
    splitRows.train,
    splitRows.validation,
    splitRows.test,
    duplicates,
    conflictCount,
    leakCount,
    measured === 0 ? null : (100 * cut) / measured,
  ];
}

function taskSection(task: TaskCheck): Section {
  const { name, files, findings, templates, problems, conflicts, leaks, nearLeaks } = task;
  const blocks: Block[] = [{ type: "text", text: `Files: ${files.join(", ")}` }];
  if (findings.length > 0) {
    blocks.push(
      table(
        "What to know",
        [{ title: "" }, { title: "finding" }],
        findings.map(({ level, text }) => [level, text]),
      ),
    );
  }
  for (const template of templates)
    blocks.push(...templateBlocks(template, templates.length > 1 ? `${template.name}: ` : ""));
  const places = [{ title: "file" }, { title: "line", align: "left" as const }];
  const lists = [
    table(
      "Bad rows",
      [...places, { title: "problem" }],
      problems.map(({ file, line, problem }) => [file, line, problem]),
    ),
    table(
      "Equal inputs with different answers",
      [{ title: "input" }, { title: "answers" }],
      conflicts.map(({ input, answers }) => [
        shorten(input),
        answers.map(({ target, place }) => `${shorten(target)} (${place.file} line ${place.line})`).join("; "),
      ]),
    ),
    table("Left out: an equal input judges them", leakColumns, leaks.map(leakRow)),
    table("Nearly equal to a row that judges them", leakColumns, nearLeaks.map(leakRow)),
  ];
  return { title: name, blocks: [...blocks, ...lists.filter(({ rows }) => rows.length > 0)] };
}

const leakColumns = ["file", "line", "split", "as file", "as line", "of split"].map((title) => ({
  title,
  align: "left" as const,
}));

function leakRow({ split, place, of }: TaskCheck["leaks"][number]): Cell[] {
  return [place.file, place.line, split, of.place.file, of.place.line, of.split];
}

function templateBlocks(template: TemplateCheck, prefix: string): Block[] {
  const { labels, inputTokens, targetTokens } = template;
  const blocks: Block[] = [{ type: "text", text: `${prefix}choices: ${choicesText(template, LISTED_CHOICES)}` }];
  if (labels.length > 0 && labels.length <= DRAWN_CHOICES) {
    blocks.push({
      type: "bars",
      title: `${prefix}rows of each choice`,
      axis: { title: "rows" },
      groups: labels.map(({ label }) => shorten(label)),
      series: (["train", "validation", "test"] as const).map((split) => ({
        name: split,
        values: labels.map((label) => label[split]),
      })),
      digits: 0,
    });
  }
  const lengthRow = (title: string, { measured, median, percentile95, longest, limit, cut }: LengthCheck): Cell[] => [
    title,
    measured,
    median,
    percentile95,
    longest,
    limit,
    cut,
  ];
  blocks.push(
    table(
      `${prefix}length in tokens`,
      ["", "measured", "median", "95 % at most", "longest", "limit", "above"].map((title) => ({ title })),
      [
        lengthRow("input", inputTokens),
        lengthRow(template.targetTokensOf === "answer" ? "answer" : "choices together", targetTokens),
      ],
    ),
  );
  return blocks;
}

function table(caption: string, columns: readonly Column[], rows: readonly (readonly Cell[])[]) {
  return { type: "table", caption, columns, rows: rows.slice(0, LISTED) } as const;
}

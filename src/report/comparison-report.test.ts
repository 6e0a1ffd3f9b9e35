import { expect, test } from "vitest";
import { compare } from "../evaluation/comparison.js";
import { fakeResults, fakeTask } from "../evaluation/comparison.test.helpers.js";
import type { EvaluationTask } from "../evaluation/results-task.js";
import type { RoutingText } from "../routing/text-format.js";
import { comparisonReport } from "./comparison-report.js";
import { renderHtml } from "./render-html.js";
import { renderText, renderTextTable } from "./render-text.js";
import { parseReport } from "./report-schema.js";

const tasks: EvaluationTask[] = [
  fakeTask("invoices", { suite: "seen", instances: 30 }),
  fakeTask("moods", { suite: "seen", instances: 30 }),
  fakeTask("colours", { suite: "unseen", instances: 30 }),
];

/** Right in the given share of rows, the same rows for every scorer. */
const rightIn =
  (share: number) =>
  (_: RoutingText, { row }: { readonly row: number }) => {
    const isRight = row % 10 < 10 * share;
    return row % 2 === (isRight ? 0 : 1) ? [-1, -2] : [-2, -1];
  };

async function results(trainingSeed: number) {
  return fakeResults({
    tasks,
    trainingSeed,
    scorers: {
      base: rightIn(0.5),
      multitask: rightIn(0.8),
      multitaskOneBudget: rightIn(0.6),
      mergedTop3: rightIn(0.6),
      "expert:0": rightIn(0.9),
      "expert:1": rightIn(0.9),
    },
    experts: [
      { id: "0", task: "invoices" },
      { id: "1", task: "moods" },
    ],
    router: ({ input }) => (input.startsWith("moods") ? "1" : "0"),
  });
}

const one = comparisonReport(compare([await results(0)], { resamples: 500 }), {
  title: "Five files",
  subtitle: "a test",
  text: "Two experts.",
});

test("a comparison becomes a report that the renderers take, seen tasks first", () => {
  expect(parseReport(JSON.parse(JSON.stringify(one)), "report")).toEqual(one);
  expect(one.sections.map(({ title }) => title)).toEqual([
    "What was done",
    "Your tasks: seen in training, other rows",
    "Unseen tasks: no expert was trained on them",
  ]);
  const [, seen, unseen] = one.sections;
  expect(seen?.blocks.map(({ type }) => type)).toEqual(["table", "text", "table", "table", "bars", "heatmap"]);
  expect(unseen?.blocks.map(({ type }) => type)).toEqual(["table", "text", "table", "table", "bars", "heatmap"]);
  expect(renderHtml(one)).toContain("invoices");
});

test("the text says what is better, what is not resolved, and how many seeds there were", () => {
  const text = renderText(one);
  expect(text).toContain("One seed: intervals cover rows only.");
  const line = (start: string) => text.split("\n").find((row) => row.startsWith(start)) ?? "";
  expect(line("own expert ")).toMatch(/90\.0 .*40\.0 .* better +2\.0e\+9/);
  expect(line("majority class")).toMatch(/50\.0 .* not resolved/);
  expect(line("chance")).toMatch(/50\.0 ± 0\.0/);
  expect(line("oracle (cross-fitted)  retrieved")).toMatch(/0\.0 ± 0\.0 +not resolved \(regret\)/);
  expect(line("invoices")).toMatch(/ 30 /);
  expect(text).toContain("Most rows were routed to invoices");
});

test("tasks of different metrics have scores in common", async () => {
  const mixed = tasks.map((task, index) => (index === 0 ? { ...task, metric: "token F1" } : task));
  const [seen, unseen] = comparisonReport(
    compare([await fakeResults({ tasks: mixed, scorers: { base: rightIn(0.5) } })], { resamples: 50 }),
    { title: "t" },
  ).sections;
  const second = (section: typeof seen) =>
    section?.blocks[0]?.type === "table" ? section.blocks[0].columns[1]?.title : undefined;
  expect([second(seen), second(unseen)]).toEqual(["score", "accuracy"]);
});

test("written answers stand in a table of all three metrics", async () => {
  const written: EvaluationTask = { ...fakeTask("titles", { suite: "seen", instances: 10 }), metric: "exact match" };
  const fake = await fakeResults({ tasks: [written], scorers: { base: rightIn(0.5) } });
  const [section] = comparisonReport(compare([fake], { resamples: 50 }), { title: "t" }).sections;
  const tables = section?.blocks.flatMap((block) => (block.type === "table" ? [block] : [])) ?? [];
  const found = tables.find(({ caption }) => caption?.startsWith("Written answers"));
  expect(found?.columns.map(({ title }) => title)).toEqual(["system", "exact match", "token F1", "ROUGE-L"]);
  expect(found?.rows.map(([name, ...cells]) => [name, cells.length])).toEqual([
    ["base", 3],
    ["majority class", 3],
  ]);
  expect(JSON.stringify(one)).not.toContain("Written answers");
});

test("several seeds are counted, and two are said to be too few", async () => {
  const seeds = await Promise.all([0, 1, 2].map(results));
  const shown = (count: number) =>
    renderText(comparisonReport(compare(seeds.slice(0, count), { resamples: 50 }), { title: "t" }));
  expect(shown(3)).toContain("3 training seeds.");
  expect(shown(3)).not.toContain("One seed");
  expect(shown(2)).toContain("2 training seeds: fewer than the 3 that a claim needs.");
});

test("a comparison of the base alone has no empty tables and pictures", async () => {
  const [task] = tasks;
  if (task === undefined) throw new Error("no task");
  const alone = await fakeResults({ tasks: [task], scorers: { base: rightIn(0.5) } });
  const { sections } = comparisonReport(compare([alone], { resamples: 50 }), { title: "t" });
  expect(sections).toHaveLength(1);
  expect(sections[0]?.blocks.map(({ type }) => type)).toEqual(["table", "text", "table", "bars"]);
});

test("columns of a text table line up, the best values are marked", () => {
  const text = renderTextTable({
    type: "table",
    caption: "Made up",
    columns: [
      { title: "task" },
      { title: "score", unit: "%", digits: 1, best: "highest" },
      { title: "note", align: "left" },
    ],
    rows: [
      ["a", 5, "x"],
      ["long name", 12.25, ""],
    ],
  });
  expect(text).toBe(
    [
      "Made up",
      "task       score (%)   note",
      "─────────  ──────────  ────",
      "a                5.0   x",
      "long name       12.3*",
    ].join("\n"),
  );
});

test("names cannot move the cursor or break a line", () => {
  const text = renderTextTable({
    type: "table",
    columns: [{ title: "task" }],
    rows: [["a\u001b[2Jb\nc"], ["\u009bd"]],
  });
  expect(text.split("\n").slice(2)).toEqual(["a [2Jb c", " d"]);
});

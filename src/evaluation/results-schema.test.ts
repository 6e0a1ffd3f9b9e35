import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import * as z from "zod";
import { compare } from "./comparison.js";
import { fakeHash, fakeResults, fakeTask } from "./comparison.test.helpers.js";
import { quickstartResults, quickstartResultsSchema } from "./quickstart-results.js";
import { type EvaluationResults, parseResults, resultsSchema } from "./results-schema.js";
import { answersByScore, taskRecord } from "./results-task.js";

const guess = () => [-1, -2];
const task = fakeTask("a", { suite: "seen", instances: 3, templates: 2 });
const results = await fakeResults({
  tasks: [task],
  scorers: { base: guess, "expert:0": guess },
  experts: [{ id: "0", task: "a" }],
  router: () => "0",
});

test("results survive JSON, unknown fields included", () => {
  const value = { ...results, note: "kept" };
  expect(parseResults(JSON.parse(JSON.stringify(value)), "results.json")).toEqual(value);
});

type Change = (value: EvaluationResults) => unknown;
test.each<[string, Change, RegExp]>([
  ["another format", (value) => ({ ...value, format: "else" }), /cadre-results/],
  [
    "a score above 1",
    ({ cells, ...value }) => ({ ...value, cells: [{ ...cells[0], scores: [2, 0, 0, 0, 0, 0] }] }),
    /<=1/,
  ],
  [
    "a hash that is none",
    ({ identity, ...value }) => ({ ...value, identity: { ...identity, base: "A" } }),
    /64 hexadecimal/,
  ],
  [
    "a system that is none",
    ({ cells, ...value }) => ({ ...value, cells: [{ ...cells[0], system: "expert:" }] }),
    /system/,
  ],
  [
    "fewer scores than predictions",
    ({ cells, ...value }) => ({ ...value, cells: [{ ...cells[0], scores: [1] }] }),
    /as many scores/,
  ],
  [
    "fewer predictions than rows",
    ({ cells, ...value }) => ({ ...value, cells: [{ ...cells[0], scores: [1], predictions: ["no"] }] }),
    /cell of base on "a": expected 6 predictions, found 1/,
  ],
  [
    "a cell twice",
    ({ cells, ...value }) => ({ ...value, cells: [...cells, ...cells] }),
    /different cells, found "base on a" twice/,
  ],
  [
    "an expert twice",
    ({ experts, ...value }) => ({ ...value, experts: [...experts, ...experts] }),
    /different experts, found "0" twice/,
  ],
  [
    "a cell of other rows",
    ({ cells, ...value }) => ({ ...value, cells: cells.map((cell) => ({ ...cell, taskSha256: fakeHash("f") })) }),
    /cell of base on "a": expected a task of the results with the hash of its rows/,
  ],
  [
    "a cell of an unknown expert",
    (value) => ({ ...value, experts: [], routes: [] }),
    /cell of expert:0 on "a": expected a system or expert/,
  ],
  [
    "too few routes",
    (value) => ({ ...value, routes: [{ task: "a", rows: [[]] }] }),
    /routes of "a": expected 6 rows, found 1/,
  ],
  [
    "routes to an unknown expert",
    ({ routes, ...value }) => ({
      ...value,
      routes: routes.map((one) => ({ ...one, rows: one.rows.map(() => [{ id: "x", weight: 1 }]) })),
    }),
    /expected experts of the results, found "x"/,
  ],
])("%s is refused by name", (_, change, message) => {
  expect(() => parseResults(change(structuredClone(results)), "results.json")).toThrow(
    expect.objectContaining({ code: "invalid-file", message: expect.stringMatching(message) }),
  );
});

test("a newer version is refused, naming it", () => {
  expect(() => parseResults({ ...results, formatVersion: 2 }, "results.json")).toThrow(
    expect.objectContaining({
      code: "unsupported",
      message: expect.stringMatching(/version 1 .* found 2; a newer Cadre/),
    }),
  );
});

test("the hash of a task changes with whatever was asked or counts as right, and with nothing else", async () => {
  const hash = async (changed: Partial<typeof task>) => (await taskRecord({ ...task, ...changed })).sha256;
  const own = await hash({});
  expect(await hash({ name: "b", suite: "unseen", majority: "yes" })).toBe(own);
  const [row, ...rows] = task.rows;
  if (row === undefined) throw new Error("no rows");
  for (const changed of [
    { rows },
    { rows: [...rows, row] },
    { rows: [{ ...row, input: "other" }, ...rows] },
    { rows: [{ ...row, targets: ["yes"] }, ...rows] },
    { rows: [{ ...row, choices: ["no", "yes"] }, ...rows] },
    { rows: [{ ...row, template: "7" }, ...rows] },
    { rows: [{ ...row, answerChoices: "no ||| yes" }, ...rows] },
    { choices: ["yes", "no"] },
    { metric: "f1" },
  ]) {
    expect(await hash(changed), JSON.stringify(changed).slice(0, 80)).not.toBe(own);
  }
});

test("records and results hold no inputs", async () => {
  expect(JSON.stringify(await taskRecord(task))).not.toContain("in words");
  expect(JSON.stringify(results)).not.toContain("in words");
});

test("rows without choices or with another number of scores are refused", () => {
  expect(() => answersByScore(task, [[1, 2]])).toThrow(/task "a": expected scores of 6 rows, got 1/);
  expect(() =>
    answersByScore(
      task,
      task.rows.map(() => [1]),
    ),
  ).toThrow(/row 0: expected a score for each of its 2 choices .* got 1/);
  const { choices: _, ...open } = task;
  expect(() =>
    answersByScore(
      open,
      task.rows.map(() => []),
    ),
  ).toThrow(/0 choices \(at least one\)/);
  const own = { ...task, rows: task.rows.map((row) => ({ ...row, targets: ["c"], choices: ["b", "c"] })) };
  expect(
    answersByScore(
      own,
      own.rows.map(() => [0, 1]),
    ).predictions,
  ).toEqual(own.rows.map(() => "c"));
});

const everything = await fakeResults({
  tasks: [fakeTask("s", { suite: "seen", instances: 8 }), fakeTask("u", { suite: "unseen", instances: 8 })],
  scorers: Object.fromEntries(
    ["base", "multitask", "multitaskOneBudget", "routed", "mergedTop3", "expert:0"].map((name) => [name, guess]),
  ),
  experts: [{ id: "0", task: "s" }],
  router: () => "0",
});

test("results.json of the quickstart has exactly the figures that it promises", () => {
  const found = quickstartResults(compare([everything], { resamples: 100 }), { seconds: 12.5, experts: 1 });
  const keys = (value: object) => Object.keys(value).sort();
  expect(keys(found)).toEqual(["experts", "seconds", "seen", "unseen"]);
  expect(keys(found.seen)).toEqual([
    "auto",
    "base",
    "chance",
    "expert",
    "majority",
    "multitask",
    "multitaskOneBudget",
    "routingAccuracy",
  ]);
  expect(keys(found.unseen)).toEqual([
    "base",
    "bestSingle",
    "chance",
    "majority",
    "mergedTop3",
    "multitask",
    "multitaskOneBudget",
    "oracle",
    "random",
    "retrieved",
  ]);
  expect(found.seen.chance).toEqual({ mean: 50, low: 50, high: 50 });
  expect(found.seconds).toBe(12.5);
  expect(found.experts).toBe(1);
});

test("a quickstart that lacks a system is refused, naming it", () => {
  const { cells, ...rest } = everything;
  const comparison = compare([{ ...rest, cells: cells.filter(({ system }) => system !== "mergedTop3") }], {
    resamples: 100,
  });
  expect(() => quickstartResults(comparison, { seconds: 1, experts: 1 })).toThrow(/mergedTop3/);
});

test.each([
  ["results.json", resultsSchema],
  ["results-quickstart.json", quickstartResultsSchema],
])(
  "schemas/%s is made from the schema in the code; after a change of that, write what it prints",
  async (file, schema) => {
    const path = fileURLToPath(new URL(`../../schemas/${file}`, import.meta.url));
    const made = z.toJSONSchema(schema, { io: "input" });
    expect(JSON.parse(await readFile(path, "utf8")), JSON.stringify(made)).toEqual(JSON.parse(JSON.stringify(made)));
  },
);

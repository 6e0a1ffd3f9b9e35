import { expect, test } from "vitest";
import { at } from "../core/at.js";
import { fakeResults, fakeTask } from "../evaluation/comparison.test.helpers.js";
import { verdictOf } from "./elm-claims.js";
import { differenceOfScores, type ElmScores, figureOfScores, scoresOf, taskScores } from "./elm-values.js";

const scores = (seeds: number, share: (instance: number) => number): ElmScores =>
  Array.from({ length: seeds }, () => [0, 1].map(() => Array.from({ length: 40 }, (_, instance) => share(instance))));

test("a mean and a paired difference in percent; a claim needs three seeds and an interval without zero", () => {
  const better = scores(3, (instance) => (instance % 4 === 0 ? 0 : 1));
  const worse = scores(3, (instance) => (instance % 2 === 0 ? 0 : 1));
  expect(figureOfScores(better).mean).toBeCloseTo(75, 9);
  const difference = differenceOfScores(better, worse);
  expect(difference.mean).toBeCloseTo(25, 9);
  expect(difference.low).toBeGreaterThan(0);
  expect(difference.resolved).toBe(true);
  expect([1, -1, 0].map((sign) => verdictOf(difference, sign === 0 ? 0 : sign > 0 ? 1 : -1, 3))).toEqual([
    "agrees",
    "disagrees",
    "first better",
  ]);
  expect(verdictOf(difference, 1, 2)).toBe("not resolved");
});

test("equal systems, and systems that differ on two instances, are not resolved", () => {
  const one = scores(3, (instance) => instance % 2);
  expect(differenceOfScores(one, one)).toMatchObject({ mean: 0, resolved: false });
  const two = one.map((seed) =>
    seed.map((task, index) => task.map((value, row) => (index === 0 && row < 2 ? 1 : value))),
  );
  expect(differenceOfScores(two, one).resolved).toBe(false);
});

test("each template's rows are scored by the system that was picked for it", async () => {
  const task = fakeTask("one", { suite: "unseen", instances: 6, templates: 2 });
  const templates = [...new Set(task.rows.map(({ template }) => template))];
  const choiceOf =
    (right: boolean) =>
    (_: unknown, { row }: { readonly row: number }) => {
      const { targets } = at(task.rows, row);
      return (task.choices ?? []).map((choice) => (targets.includes(choice) === right ? 1 : 0));
    };
  const results = await fakeResults({
    tasks: [task],
    scorers: { "expert:right": choiceOf(true), "expert:wrong": choiceOf(false) },
    experts: ["right", "wrong"].map((id) => ({ id, task: "one" })),
  });
  const [first] = templates;
  const mixed = taskScores(results, {
    task: "one",
    systemOf: (template) => (template === first ? "expert:right" : "expert:wrong"),
  });
  expect(templates).toHaveLength(2);
  expect(mixed).toEqual(Array.from({ length: 6 }, () => 0.5));
  expect(scoresOf(results, { system: "expert:right", tasks: ["one"] })).toEqual([Array.from({ length: 6 }, () => 1)]);
  expect(() => taskScores(results, { task: "one", systemOf: () => "multitask" })).toThrow(
    /answers of multitask on one/,
  );
  expect(() => taskScores(results, { task: "two", systemOf: () => "base" })).toThrow(/on two/);
});

import { expect, test } from "vitest";
import { verdictOf } from "./elm-claims.js";
import { differenceOfScores, type ElmScores, figureOfScores } from "./elm-values.js";

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

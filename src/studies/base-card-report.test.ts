import { expect, test } from "vitest";
import { at } from "../core/at.js";
import { createRandom } from "../core/random.js";
import { baseCardReport } from "./base-card-report.js";
import { type CardResult, cardRecipe } from "./base-card-result.js";

const ROWS = 50;
const SEEDS = 3;

/** Answers of which so many percent of the rows are right, other rows for other seeds. */
function answers(right: number, seed: number): number[] {
  const rows = Array.from({ length: ROWS }, (_, row) => (row < (right * ROWS) / 100 ? 1 : 0));
  return createRandom(seed).shuffle(rows);
}

function result(set: string, { expert, full }: { readonly expert: number; readonly full: number }): CardResult {
  const arm = (right: number) => ({
    learningRate: 0.001,
    correct: Array.from({ length: SEEDS }, (_, seed) => answers(right, seed + set.length)),
  });
  return {
    set,
    choices: 2,
    trainRows: 1000,
    arms: {
      "expert on the base": arm(expert),
      "all weights from random": arm(full),
      "adapters on frozen random weights": arm(50),
    },
    bagOfWords: answers(expert, 9),
    majority: answers(50, 10),
  };
}

function lastDifferences(results: readonly CardResult[]) {
  const report = baseCardReport([{ steps: 60, sets: results }], { recipe: cardRecipe, seeds: SEEDS, inputLength: 128 });
  const table = at(at(report.sections, 1).blocks, 0);
  if (table.type !== "table") throw new Error("expected a table");
  return at(table.rows, table.rows.length - 1);
}

test("the mean over sets has the mean of their differences, and an interval that is narrower than a set's", () => {
  const results = [
    result("a", { expert: 80, full: 70 }),
    result("bb", { expert: 60, full: 62 }),
    result("ccc", { expert: 90, full: 82 }),
  ];
  const [label, difference, verdict] = lastDifferences(results);
  expect(label).toBe("mean");
  expect(difference).toMatchObject({ value: expect.closeTo(16 / 3, 9) });
  const { low, high } = difference as { low: number; high: number };
  expect(low).toBeLessThan(16 / 3);
  expect(high).toBeGreaterThan(16 / 3);
  expect(verdict).toBe(low > 0 ? "better" : "not resolved");
  const [, alone] = lastDifferences([at(results, 0)]);
  const one = alone as { low: number; high: number };
  expect(high - low).toBeLessThan(one.high - one.low);
});

test("equal arms do not resolve", () => {
  const [, difference, verdict] = lastDifferences([
    result("a", { expert: 70, full: 70 }),
    result("bb", { expert: 60, full: 60 }),
  ]);
  expect(difference).toMatchObject({ value: expect.closeTo(0, 9) });
  expect(verdict).toBe("not resolved");
});

test("sets are named where a difference is resolved", () => {
  const sets = [result("far", { expert: 90, full: 40 }), result("near", { expert: 70, full: 70 })];
  const report = baseCardReport([{ steps: 60, sets }], { recipe: cardRecipe, seeds: SEEDS, inputLength: 128 });
  const texts = at(report.sections, 1).blocks.flatMap((block) => (block.type === "text" ? [block.text] : []));
  expect(texts[0]).toBe("Resolved against all weights from random: the expert is ahead on far, and behind on no set.");
  expect(texts).toHaveLength(3);
});

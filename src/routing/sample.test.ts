import fc from "fast-check";
import { expect, test } from "vitest";
import { sampleIndices } from "./sample.js";

test("a sample is distinct, in order, as large as it can be, and the same for a seed", () => {
  const count = fc.integer({ min: 0, max: 300 });
  fc.assert(
    fc.property(count, count, fc.integer({ min: 0, max: 1000 }), (available, most, seed) => {
      const drawn = sampleIndices({ available, most, seed });
      expect(drawn.length).toBe(Math.min(available, most));
      expect(drawn).toEqual([...new Set(drawn)].sort((left, right) => left - right));
      expect(drawn.every((index) => index >= 0 && index < available)).toBe(true);
      expect(sampleIndices({ available, most, seed })).toEqual(drawn);
    }),
  );
});

test("every index is drawn about equally often", () => {
  const counts = new Array<number>(10).fill(0);
  for (let seed = 0; seed < 2000; seed++) {
    for (const index of sampleIndices({ available: 10, most: 3, seed })) counts[index] = (counts[index] ?? 0) + 1;
  }
  // 600 expected; a standard deviation is 20.
  expect(Math.min(...counts)).toBeGreaterThan(500);
  expect(Math.max(...counts)).toBeLessThan(700);
});

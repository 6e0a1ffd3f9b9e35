import fc from "fast-check";
import { expect, test } from "vitest";
import { mean, powerOfTwo } from "./numbers.js";

test("powerOfTwo: a power of two, no less than the number and less than twice it", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 30 }), (least) => {
      const power = powerOfTwo(least);
      expect(Number.isInteger(Math.log2(power))).toBe(true);
      expect(power).toBeGreaterThanOrEqual(least);
      expect(power).toBeLessThan(2 * least);
    }),
  );
});

test("mean", () => {
  expect(mean([1, 2, 6])).toBe(3);
  expect(mean([])).toBeNaN();
});

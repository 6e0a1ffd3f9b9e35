import fc from "fast-check";
import { expect, test } from "vitest";
import { sampleSeed, uniformAt } from "./draws.js";

const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });

test("equal seeds and steps give equal numbers in every version", () => {
  expect([uniformAt(0, 0), uniformAt(7, 0), uniformAt(7, 1), uniformAt(2 ** 32 - 1, 63)]).toMatchInlineSnapshot(`
    [
      0.8626316785812378,
      0.9908944368362427,
      0.684424877166748,
      0.41700243949890137,
    ]
  `);
  expect([sampleSeed(7, 0), sampleSeed(7, 1), sampleSeed(7, 2)]).toMatchInlineSnapshot(`
    [
      7,
      2455715591,
      3844594728,
    ]
  `);
});

test("numbers lie in [0, 1), have at most 23 bits and no bias", () => {
  fc.assert(
    fc.property(uint32, uint32, (seed, step) => {
      const number = uniformAt(seed, step);
      expect(number).toBeGreaterThanOrEqual(0);
      expect(number).toBeLessThan(1);
      expect(Number.isInteger(number * 2 ** 23)).toBe(true);
    }),
  );
  const means = [0, 1, 2].map((seed) => {
    const numbers = Array.from({ length: 2000 }, (_, step) => uniformAt(seed, step));
    return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
  });
  // Four standard errors of the mean.
  for (const mean of means) expect(Math.abs(mean - 0.5)).toBeLessThan(4 * Math.sqrt(1 / 12 / 2000));
  expect(new Set(means).size).toBe(3);
});

test("samples have seeds of their own, the first one the request's", () => {
  fc.assert(
    fc.property(uint32, (seed) => {
      const seeds = Array.from({ length: 20 }, (_, sample) => sampleSeed(seed, sample));
      expect(seeds[0]).toBe(seed);
      expect(new Set(seeds).size).toBe(20);
    }),
    { numRuns: 30 },
  );
});

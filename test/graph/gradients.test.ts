import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRandom } from "../../src/core/random.js";
import type { Program } from "../../src/runtime/device.js";
import type { Tensor } from "../../src/tensors/tensor.js";
import { type OpCase, opCases } from "./op-cases.js";
import { buildOpGraph, dimensionsOf, feedsFor, type Sizes } from "./op-program.js";
import { compileGraph, numbersOf, runGraph, type Tensors, tensorOf } from "./run-graph.js";

/** Distance of the finite differences; the formula's error is h⁴ times a fifth derivative. */
const STEP = 1e-3;
/** Elements of each input whose derivative is taken alone, beside the one along a random direction through all of them. */
const SAMPLED_ELEMENTS = 2;
const RUNS = 5;

/** Sizes of a case's dimensions, and a seed for what is in the inputs. */
function sample(opCase: OpCase): fc.Arbitrary<{ sizes: Sizes; seed: number }> {
  const sizes = Object.fromEntries(dimensionsOf(opCase).map((dim) => [dim, fc.integer({ min: 1, max: 5 })]));
  return fc.record({ sizes: fc.record(sizes), seed: fc.nat() });
}

/** The loss' derivative along a direction, by the four-point formula. */
async function derivative(
  program: Program,
  feeds: Tensors,
  name: string,
  direction: readonly number[],
): Promise<number> {
  const losses: number[] = [];
  for (const distance of [-2, -1, 1, 2]) {
    const moved = numbersOf(feeds, name).map((x, index) => x + distance * STEP * (direction[index] ?? 0));
    const shape = feeds[name]?.shape ?? [];
    const { outputs } = await program.run({ ...feeds, [name]: tensorOf("float64", shape, moved) });
    losses.push(numbersOf(outputs, "loss")[0] ?? Number.NaN);
  }
  const [farBelow = 0, below = 0, above = 0, farAbove = 0] = losses;
  return (farBelow - 8 * below + 8 * above - farAbove) / (12 * STEP);
}

/** Directions through an input: all elements at once, and some alone. */
function directions(count: number, seed: number): number[][] {
  const random = createRandom(seed, 1);
  const unit = (chosen: number) => Array.from({ length: count }, (_, index) => (index === chosen ? 1 : 0));
  return [
    Array.from({ length: count }, () => random.nextFloat() * 2 - 1),
    ...Array.from({ length: SAMPLED_ELEMENTS }, () => unit(random.nextInteger(count))),
  ];
}

/** Elements equal up to `tolerance`, relative to the larger of the element, the mean size of all elements, and 0.1. */
function expectClose(what: string, actual: readonly number[], expected: readonly number[], tolerance: number): void {
  expect(actual.length, what).toBe(expected.length);
  const mean = expected.reduce((sum, x) => sum + Math.abs(x), 0) / expected.length;
  const worst = expected.reduce((largest, x, index) => {
    const error = Math.abs((actual[index] ?? Number.NaN) - x) / Math.max(Math.abs(x), mean, 0.1);
    return Number.isNaN(error) ? Number.POSITIVE_INFINITY : Math.max(largest, error);
  }, 0);
  if (worst > tolerance) {
    throw new Error(`${what}: expected ${expected.join(", ")}, got ${actual.join(", ")} (error ${worst})`);
  }
}

describe("gradients equal finite differences in float64", () => {
  test.each(opCases.filter(({ reference }) => reference === undefined))("$name", async (opCase) => {
    await fc.assert(
      fc.asyncProperty(sample(opCase), async ({ sizes, seed }) => {
        const options = { dtype: "float64", sizes } as const;
        const built = buildOpGraph(opCase, options);
        const feeds = feedsFor(opCase, built, options, seed);
        await using program = await compileGraph(built.graph);
        const { outputs } = await program.run(feeds);
        for (const input of built.differentiated) {
          const gradient = numbersOf(outputs, `g${input}`);
          for (const direction of directions(gradient.length, seed)) {
            const products = gradient.map((g, index) => g * (direction[index] ?? 0));
            const expected = await derivative(program, feeds, `x${input}`, direction);
            const actual = products.reduce((sum, x) => sum + x, 0);
            const size = products.reduce((sum, x) => sum + Math.abs(x), 0);
            const error = Math.abs(actual - expected);
            if (!(error <= 1e-6 * Math.max(Math.abs(expected), size) + 1e-9)) {
              throw new Error(`gradient of input ${input}: expected ${expected}, got ${actual}`);
            }
          }
        }
      }),
      { numRuns: RUNS },
    );
  });
});

describe("float32 equals a closed form where the CPU has no float64 kernel", () => {
  test.each(opCases.filter(({ reference }) => reference !== undefined))("$name", async (opCase) => {
    await fc.assert(
      fc.asyncProperty(sample(opCase), async ({ sizes, seed }) => {
        const options = { dtype: "float32", sizes } as const;
        const built = buildOpGraph(opCase, options);
        const feeds = feedsFor(opCase, built, options, seed);
        const outputs = await runGraph(built.graph, feeds);
        const projection = numbersOf(feeds, "r0");
        const pairs = numbersOf(feeds, "x0").map((x) => opCase.reference?.(x) ?? [Number.NaN, Number.NaN]);
        expectClose(
          "output",
          numbersOf(outputs, "y0"),
          pairs.map(([value]) => value),
          1e-5,
        );
        expectClose(
          "gradient",
          numbersOf(outputs, "g0"),
          pairs.map(([, slope], index) => slope * (projection[index] ?? 0)),
          1e-5,
        );
      }),
      { numRuns: RUNS },
    );
  });
});

describe("float32 equals float64, outputs and gradients", () => {
  test.each(opCases.filter(({ reference }) => reference === undefined))("$name", async (opCase) => {
    await fc.assert(
      fc.asyncProperty(sample(opCase), async ({ sizes, seed }) => {
        const results: Record<string, Tensor>[] = [];
        for (const dtype of ["float32", "float64"] as const) {
          const options = { dtype, sizes };
          const built = buildOpGraph(opCase, options);
          results.push({ ...(await runGraph(built.graph, feedsFor(opCase, built, options, seed))) });
        }
        const [single = {}, double = {}] = results;
        expect(Object.keys(single)).toEqual(Object.keys(double));
        for (const name of Object.keys(double)) {
          expect(single[name]?.dtype).toBe("float32");
          expect(single[name]?.shape).toEqual(double[name]?.shape);
          expectClose(name, numbersOf(single, name), numbersOf(double, name), 1e-4);
        }
      }),
      { numRuns: RUNS },
    );
  });
});

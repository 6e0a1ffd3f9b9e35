import { describe, expect, test } from "vitest";
import { compileGraph, numbersOf, scalarOf, type Tensors } from "../../test/graph/run-graph.js";
import { Graph } from "./graph.js";
import { loop } from "./loop.js";
import { dropoutMask, type RandomKey, randomBits, randomKey, randomUniform } from "./random.js";
import { serializeGraph } from "./serialize.js";

const COUNT = 20_000;

/** A graph with inputs `seed` and `step`. */
function keyed(build: (graph: Graph, key: RandomKey) => void): Graph {
  const graph = new Graph();
  build(graph, randomKey(graph.input("seed", "int64", []), graph.input("step", "int64", [])));
  return graph;
}

/** Runs one program at several (seed, step). */
async function runAt(graph: Graph, keys: readonly (readonly [seed: number, step: number])[]): Promise<Tensors[]> {
  await using program = await compileGraph(graph);
  const results: Tensors[] = [];
  for (const [seed, step] of keys) {
    results.push((await program.run({ seed: scalarOf("int64", seed), step: scalarOf("int64", step) })).outputs);
  }
  return results;
}

/** Numbers of three neighbouring sites at neighbouring seeds and steps, by `seed/step/site`. */
async function streams(): Promise<Map<string, number[]>> {
  const graph = keyed((outer, key) => {
    for (const site of [0, 1, 2]) outer.output(`u${site}`, randomUniform(key, site, [COUNT]));
  });
  const keys = [0, 1, 2 ** 31 + 5].flatMap((seed) => [0, 1, 2, 1000].map((step) => [seed, step] as const));
  const results = await runAt(graph, keys);
  return new Map(
    results.flatMap((outputs, index) =>
      [0, 1, 2].map((site): [string, number[]] => [
        `${keys[index]?.join("/")}/${site}`,
        numbersOf(outputs, `u${site}`),
      ]),
    ),
  );
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
}

/** Pearson's correlation of uniform numbers, in units of its standard deviation under independence. */
function correlation(left: readonly number[], right: readonly number[]): number {
  const products = left.map((x, index) => (x - 0.5) * ((right[index] ?? 0.5) - 0.5));
  return mean(products) * 12 * Math.sqrt(products.length);
}

describe("random numbers", () => {
  test("equal the formula, computed in JavaScript", async () => {
    const [outputs = {}] = await runAt(
      keyed((graph, key) => graph.output("bits", randomBits(key, 7, [3, 5]))),
      [[123_456_789, 42]],
    );
    const mix = (input: number): number => {
      let x = input >>> 0;
      x = Math.imul(x ^ (x >>> 16), 0x85ebca6b) >>> 0;
      x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35) >>> 0;
      return (x ^ (x >>> 16)) >>> 0;
    };
    const key = mix(mix(123_456_789) + mix(42 + 0x9e3779b9));
    const start = key + (Math.imul(8, 0x6c8e9cf5) >>> 0);
    const expected = Array.from({ length: 15 }, (_, index) => mix(Math.imul((start + index) | 0, 0x9e3779b9)));
    expect(numbersOf(outputs, "bits")).toEqual(expected);
  });

  test("repeat for one key, and differ for any other seed, step or site", async () => {
    const all = await streams();
    const again = await streams();
    for (const [key, numbers] of all) expect(again.get(key)).toEqual(numbers);
    const starts = new Set([...all.values()].map((numbers) => numbers.slice(0, 8).join()));
    expect(starts.size).toBe(all.size);
  });

  test("are uniform: mean, variance, and counts in 64 bins", async () => {
    for (const [key, numbers] of await streams()) {
      expect(Math.min(...numbers), key).toBeGreaterThanOrEqual(0);
      expect(Math.max(...numbers), key).toBeLessThan(1);
      const average = mean(numbers);
      expect(Math.abs(average - 0.5) * Math.sqrt(12 * COUNT), key).toBeLessThan(5);
      const variance = mean(numbers.map((x) => (x - average) ** 2));
      expect(Math.abs(variance - 1 / 12) * Math.sqrt(180 * COUNT), key).toBeLessThan(5);
      const bins = new Array<number>(64).fill(0);
      for (const x of numbers) bins[Math.floor(x * 64)] = (bins[Math.floor(x * 64)] ?? 0) + 1;
      const expected = COUNT / 64;
      const chiSquare = bins.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
      // 63 degrees of freedom: mean 63, standard deviation 11.2.
      expect(Math.abs(chiSquare - 63) / 11.2, key).toBeLessThan(5);
    }
  });

  test("do not correlate between neighbouring positions, sites, steps and seeds", async () => {
    const all = [...(await streams())];
    for (const [key, numbers] of all) {
      for (const lag of [1, 2, 16]) {
        expect(Math.abs(correlation(numbers.slice(lag), numbers.slice(0, -lag))), `${key} lag ${lag}`).toBeLessThan(5);
      }
    }
    for (const [index, [key, numbers]] of all.entries()) {
      for (const [otherKey, other] of all.slice(index + 1)) {
        expect(Math.abs(correlation(numbers, other)), `${key} and ${otherKey}`).toBeLessThan(5);
      }
    }
  });

  test("a step inside a loop draws as the same step alone", async () => {
    const steps = 3;
    const looped = new Graph();
    const seed = looped.input("seed", "int64", []);
    const first = looped.input("step", "int64", []);
    const { collected } = loop({
      graph: looped,
      steps,
      carried: [],
      sequences: [looped.constant({ dtype: "int64", shape: [steps], data: BigInt64Array.from([10n, 11n, 12n]) })],
      body: ({ sequences: [step = first] }) => ({
        carried: [],
        collected: [dropoutMask(randomKey(seed, step), 3, [4, 5], 0.5)],
      }),
    });
    for (const value of collected) looped.output("masks", value);
    const [outputs = {}] = await runAt(looped, [[9, 0]]);
    const alone = await runAt(
      keyed((graph, key) => graph.output("mask", dropoutMask(key, 3, [4, 5], 0.5))),
      [
        [9, 10],
        [9, 11],
        [9, 12],
      ],
    );
    expect(numbersOf(outputs, "masks")).toEqual(alone.flatMap((result) => numbersOf(result, "mask")));
  });

  test("refuse seeds that are no int64 scalar, and sites outside the range", () => {
    const graph = new Graph();
    const seed = graph.input("seed", "int64", []);
    expect(() => randomKey(seed, graph.input("f", "float32", []))).toThrow(
      "randomKey: expected a step of int64, got float32",
    );
    expect(() => randomKey(graph.input("v", "int64", [2]), seed)).toThrow(
      "randomKey: expected a seed of shape [], got [2]",
    );
    const key = randomKey(seed, seed);
    expect(() => randomBits(key, -1, [2])).toThrow("randomBits: expected a site between 0 and 2³²-1, got -1");
    expect(() => randomBits(key, 0, ["n"])).toThrow("randomBits: expected a fixed size at axis 0, got [n]");
    expect(() => dropoutMask(key, 0, [2], 1)).toThrow("dropoutMask: expected a rate in [0, 1), got 1");
  });
});

describe("dropoutMask", () => {
  test("keeps the asked share and scales it up, so that the mean stays 1", async () => {
    for (const rate of [0, 0.1, 0.5, 0.9]) {
      const [outputs = {}] = await runAt(
        keyed((graph, key) => graph.output("mask", dropoutMask(key, 5, [100, 200], rate))),
        [[1, 2]],
      );
      const mask = numbersOf(outputs, "mask");
      expect(new Set(mask)).toEqual(new Set(rate === 0 ? [1] : [0, Math.fround(1 / (1 - rate))]));
      const kept = mask.filter((x) => x > 0).length / mask.length;
      expect(Math.abs(kept - (1 - rate))).toBeLessThanOrEqual(5 * Math.sqrt((rate * (1 - rate)) / mask.length));
    }
  });

  test("is drawn at run time: the model stays small, and another seed gives another mask", async () => {
    const graph = keyed((outer, key) => outer.output("mask", dropoutMask(key, 0, [1000, 200], 0.5)));
    expect(serializeGraph(graph).length).toBeLessThan(6_000);
    const [one = {}, two = {}, repeated = {}] = await runAt(graph, [
      [1, 0],
      [2, 0],
      [1, 0],
    ]);
    expect(numbersOf(one, "mask")).toEqual(numbersOf(repeated, "mask"));
    const before = numbersOf(one, "mask");
    const different = numbersOf(two, "mask").filter((x, index) => x !== before[index]).length;
    expect(Math.abs(different / before.length - 0.5)).toBeLessThan(0.01);
  });
});

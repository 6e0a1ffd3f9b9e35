import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { expect, test } from "vitest";
import * as z from "zod";
import { at } from "../../src/core/at.js";
import { readJson } from "../../src/core/node/json.js";
import { createRandom } from "../../src/core/random.js";
import { uniformAt } from "../../src/generation/draws.js";
import { drawingWeights, LOWEST, penalize } from "../../src/generation/process-logits.js";
import { drawOne } from "../../src/generation/row-choice.js";
import { Graph } from "../../src/graph/graph.js";
import { div } from "../../src/graph/ops/elementwise.js";
import { reduceSum } from "../../src/graph/ops/reduce.js";
import type { Program } from "../../src/runtime/device.js";
import { parseSafetensors } from "../../src/tensors/safetensors.js";
import { compileGraph, numbersOf, tensorOf } from "../graph/run-graph.js";
import { expectWithin, floatsOf, integersOf } from "../parity/fixture.js";

interface Options {
  readonly temperature: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly penalty?: number;
}

/** Logits to the distribution that is drawn from, and what uniform numbers draw from it. */
async function compileChoice(shape: {
  readonly rows: number;
  readonly vocabulary: number;
  readonly history: number;
  readonly candidates: number;
}): Promise<Program> {
  const graph = new Graph();
  const { rows, vocabulary, history, candidates } = shape;
  const byRow = (name: string) => graph.input(name, "float32", [rows]);
  const scores = penalize(graph.input("logits", "float32", [rows, vocabulary]), {
    history: graph.input("history", "int32", [rows, history]),
    penalties: byRow("penalties"),
  });
  const options = {
    temperatures: byRow("temperatures"),
    topKs: graph.input("topKs", "int32", [rows]),
    topPs: byRow("topPs"),
    minLogRatios: byRow("minLogRatios"),
  };
  const weights = drawingWeights(scores, options, candidates);
  graph.output("probabilities", div(weights, reduceSum(weights, [1], { keepDims: true })));
  graph.output("drawn", drawOne(weights, byRow("uniforms")));
  return await compileGraph(graph);
}

async function choose(
  program: Program,
  rows: readonly {
    readonly logits: ArrayLike<number>;
    readonly history: ArrayLike<number>;
    readonly options: Options;
    readonly uniform?: number;
  }[],
): Promise<{ readonly probabilities: number[][]; readonly drawn: number[] }> {
  const count = rows.length;
  const vocabulary = at(rows, 0).logits.length;
  const byRow = (numberOf: (options: Options) => number) =>
    tensorOf(
      "float32",
      [count],
      rows.map(({ options }) => numberOf(options)),
    );
  const { outputs } = await program.run({
    logits: tensorOf(
      "float32",
      [count, vocabulary],
      rows.flatMap(({ logits }) => Array.from(logits)),
    ),
    history: tensorOf(
      "int32",
      [count, at(rows, 0).history.length],
      rows.flatMap(({ history }) => Array.from(history)),
    ),
    penalties: byRow(({ penalty = 1 }) => penalty),
    temperatures: byRow(({ temperature }) => temperature),
    topKs: tensorOf(
      "int32",
      [count],
      rows.map(({ options }) => Math.min(options.topK ?? 0, vocabulary)),
    ),
    topPs: byRow(({ topP = 1 }) => topP),
    minLogRatios: byRow(({ minP = 0 }) => Math.max(Math.log(minP), LOWEST)),
    uniforms: tensorOf(
      "float32",
      [count],
      rows.map(({ uniform = 0 }) => uniform),
    ),
  });
  const all = numbersOf(outputs, "probabilities");
  return {
    probabilities: rows.map((_, row) => all.slice(row * vocabulary, (row + 1) * vocabulary)),
    drawn: numbersOf(outputs, "drawn"),
  };
}

const casesSchema = z.object({
  cases: z.array(
    z
      .object({
        temperature: z.number(),
        top_k: z.int().optional(),
        top_p: z.number().optional(),
        min_p: z.number().optional(),
        repetition_penalty: z.number().optional(),
      })
      .transform(
        ({ temperature, top_k: topK, top_p: topP, min_p: minP, repetition_penalty: penalty }): Options => ({
          temperature,
          ...(topK === undefined ? {} : { topK }),
          ...(topP === undefined ? {} : { topP }),
          ...(minP === undefined ? {} : { minP }),
          ...(penalty === undefined ? {} : { penalty }),
        }),
      ),
  ),
});
const folder = fileURLToPath(new URL("../fixtures/generation/", import.meta.url));

test("rows with different options are drawn from the distributions that transformers' generate samples from", async () => {
  const { cases } = casesSchema.parse(await readJson(`${folder}options.json`));
  const { tensors } = parseSafetensors(await readFile(`${folder}options.safetensors`), { where: "options" });
  const rows = cases.flatMap((options, index) => {
    const logits = floatsOf(tensors, `${index}.logits`);
    const probabilities = floatsOf(tensors, `${index}.probabilities`);
    const history = integersOf(tensors, `${index}.history`);
    const [count = 0, width = 0] = tensors.get(`${index}.history`)?.shape ?? [];
    const size = logits.length / count;
    return Array.from({ length: count }, (_, row) => ({
      options,
      logits: logits.subarray(row * size, (row + 1) * size),
      expected: probabilities.subarray(row * size, (row + 1) * size),
      history: history.subarray(row * width, (row + 1) * width),
      name: `${JSON.stringify(options)} row ${row}`,
    }));
  });
  expect(rows.length).toBe(16 * 12);
  const { logits, history } = at(rows, 0);
  await using program = await compileChoice({
    rows: rows.length,
    vocabulary: logits.length,
    history: history.length,
    candidates: logits.length,
  });
  const { probabilities } = await choose(program, rows);
  for (const [row, { expected, name }] of rows.entries()) {
    expectWithin(name, at(probabilities, row), expected, 1e-5);
  }
  // Top-p that the sorted candidates do not reach.
  const few = rows.filter(({ options: { topK = 0 } }) => topK <= 2);
  await using narrow = await compileChoice({
    rows: few.length,
    vocabulary: logits.length,
    history: history.length,
    candidates: 2,
  });
  const found = await choose(narrow, few);
  for (const [row, { expected, name }] of few.entries()) {
    expectWithin(name, at(found.probabilities, row), expected, 1e-5);
  }
});

/** The distribution in float64, by sorting: top-k, then top-p of what is left, then min-p. Undefined where rounding could decide. */
function distributionOf(
  logits: readonly number[],
  { history, options }: { readonly history: readonly number[]; readonly options: Options },
): number[] | undefined {
  const { temperature, topK = logits.length, topP = 1, minP = 0, penalty = 1 } = options;
  const seen = new Set(history);
  const scores = logits.map(
    (logit, id) => (seen.has(id) ? (logit < 0 ? logit * penalty : logit / penalty) : logit) / temperature,
  );
  const best = Math.max(...scores);
  const order = [...scores.keys()].sort((left, right) => at(scores, right) - at(scores, left));
  const weightOf = (id: number): number => Math.exp(at(scores, id) - best);
  const allowed = order.slice(0, Math.min(topK, logits.length));
  const total = allowed.reduce((sum, id) => sum + weightOf(id), 0);
  const margins: number[] = [];
  let before = 0;
  const kept = allowed.filter((id) => {
    const inside = topP >= 1 || before < topP * total;
    margins.push(topP >= 1 ? 1 : Math.abs(before / total - topP), minP === 0 ? 1 : Math.abs(weightOf(id) / minP - 1));
    before += weightOf(id);
    return inside && weightOf(id) >= minP;
  });
  const sum = kept.reduce((all, id) => all + weightOf(id), 0);
  return Math.min(...margins) < 1e-4 ? undefined : scores.map((_, id) => (kept.includes(id) ? weightOf(id) / sum : 0));
}

test("any options give the distribution that sorting gives, few candidates or many", async () => {
  const shape = { rows: 1, vocabulary: 300, history: 5 };
  const programs = await Promise.all([8, 64, 300].map((candidates) => compileChoice({ ...shape, candidates })));
  let compared = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        seed: fc.nat(1e6),
        spread: fc.constantFrom(0.01, 1, 6),
        temperature: fc.constantFrom(0.1, 0.7, 1, 2.5, 100),
        topK: fc.option(fc.integer({ min: 1, max: 8 }), { nil: undefined }),
        topP: fc.option(fc.double({ min: 0.001, max: 1, noNaN: true }), { nil: undefined }),
        minP: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined }),
        penalty: fc.constantFrom(0.5, 1, 1.8),
      }),
      async ({ seed, spread, temperature, topK, topP, minP, penalty }) => {
        const random = createRandom(seed);
        const logits = Array.from({ length: shape.vocabulary }, () => Math.fround(spread * random.nextNormal()));
        const history = Array.from({ length: shape.history }, () => random.nextInteger(shape.vocabulary));
        const options: Options = {
          ...{ temperature, penalty },
          ...(topK === undefined ? {} : { topK }),
          ...(topP === undefined ? {} : { topP }),
          ...(minP === undefined ? {} : { minP }),
        };
        const expected = distributionOf(logits, { history, options });
        fc.pre(expected !== undefined);
        compared++;
        for (const program of programs) {
          const { probabilities } = await choose(program, [{ logits, history, options }]);
          expectWithin("probabilities", at(probabilities, 0), expected ?? [], 1e-5);
        }
      },
    ),
    { numRuns: 150, seed: 9 },
  );
  expect(compared).toBe(150);
  await Promise.all(programs.map((program) => program.close()));
});

test("draws follow the distribution", async () => {
  const [draws, vocabulary] = [4000, 40];
  const random = createRandom(77);
  const logits = Array.from({ length: vocabulary }, () => 2 * random.nextNormal());
  await using program = await compileChoice({ rows: draws, vocabulary, history: 1, candidates: 16 });
  for (const options of [
    { temperature: 1 },
    { temperature: 1.5, topP: 0.9 },
    { temperature: 3, topK: 10, minP: 0.2 },
  ]) {
    const rows = Array.from({ length: draws }, (_, step) => ({
      ...{ logits, history: [0], options },
      // Half of them by seed, half by step.
      uniform: step % 2 === 0 ? uniformAt(step, 3) : uniformAt(11, step),
    }));
    const { probabilities, drawn } = await choose(program, rows);
    const expected = at(probabilities, 0).map((probability) => probability * draws);
    const counts = expected.map((_, id) => drawn.filter((one) => one === id).length);
    expect(counts.filter((count, id) => count > 0 && expected[id] === 0)).toEqual([]);
    // Rare ones together, as the statistic wants five or more of each.
    const rare = [...expected.keys()].filter((id) => at(expected, id) < 5);
    const groups = [...expected.keys()].filter((id) => at(expected, id) >= 5).map((id) => [id]);
    const cells = (rare.reduce((sum, id) => sum + at(expected, id), 0) >= 5 ? [...groups, rare] : groups).map(
      (ids) => ({
        found: ids.reduce((sum, id) => sum + at(counts, id), 0),
        wanted: ids.reduce((sum, id) => sum + at(expected, id), 0),
      }),
    );
    const statistic = cells.reduce((sum, { found, wanted }) => sum + (found - wanted) ** 2 / wanted, 0);
    const freedom = cells.length - 1;
    expect(freedom).toBeGreaterThan(3);
    // Mean and standard deviation of the chi-square distribution; 4 of them is far beyond chance.
    expect(statistic).toBeLessThan(freedom + 4 * Math.sqrt(2 * freedom));
    expect(statistic).toBeGreaterThan(0);
  }
});

test("the largest and the smallest uniform number draw a token that may be drawn", async () => {
  await using program = await compileChoice({ rows: 3, vocabulary: 6, history: 1, candidates: 4 });
  const logits = [Number.NEGATIVE_INFINITY, -3, 5, 5, -200, -300];
  const options = { temperature: 1 };
  const { drawn } = await choose(
    program,
    [0, 0.5, 1 - 2 ** -23].map((uniform) => ({ logits, history: [0], options, uniform })),
  );
  expect(drawn).toEqual([1, 2, 3]);
});

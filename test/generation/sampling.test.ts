import { afterAll, expect, test } from "vitest";
import { at } from "../../src/core/at.js";
import { createRandom } from "../../src/core/random.js";
import { createDelta } from "../../src/experts/delta-config.js";
import { mixExperts } from "../../src/experts/mixed.js";
import { sampleSeed } from "../../src/generation/draws.js";
import type { GeneratedPart, GenerationRow } from "../../src/generation/generation.js";
import type { RowOptions } from "../../src/generation/row-options.js";
import { createTokenGenerator } from "../../src/generation/token-generator.js";
import { initialTensors } from "../../src/models/initialize.js";
import type { Device } from "../../src/runtime/device.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import { randomExperts } from "../experts/tiny-experts.js";
import { expectWithin, readModel } from "../parity/fixture.js";
import { createToyDecoder } from "../toy-decoder.js";
import { scoreSlowly } from "./slow-scores.js";
import { toyDecoding } from "./toy-decoding.js";

const device = await openDevice({ threads: 1 });
afterAll(() => device.close());
const fixture = await readModel("v1_1");
// A token that comes up amid answers, so that some end early.
const model = { ...fixture.model, endId: 15 };
const { weights } = fixture;
const endless = { ...model, endId: 64 };

function inputOf(seed: number, length: number): Int32Array {
  const random = createRandom(5, seed);
  return Int32Array.from({ length }, (_, index) => (index === length - 1 ? 1 : 2 + random.nextInteger(60)));
}

const choices: readonly RowOptions[] = [
  {},
  { temperature: 1, seed: 1 },
  { temperature: 1, seed: 2 },
  { temperature: 0.7, topK: 5, seed: 1 },
  { temperature: 1.5, topP: 0.8, seed: 3, maxNewTokens: 3 },
  { temperature: 2, minP: 0.1, seed: 4, topLogProbabilities: 3 },
  { repetitionPenalty: 1.5, topLogProbabilities: 20 },
  { temperature: 1.2, topK: 40, topP: 0.95, minP: 0.02, repetitionPenalty: 1.2, seed: 2 ** 32 - 1, maxNewTokens: 30 },
  { topLogProbabilities: 1, maxNewTokens: 9 },
];
const rows = choices.map((options, row): GenerationRow => ({ input: inputOf(row, 6 + row), options }));

test("rows with options of their own are answered as each alone, in any batch, and again", async () => {
  await using generator = createTokenGenerator({ device, model, weights });
  const together = await generator.generate(rows, { maxNewTokens: 20 });
  const again = await generator.generate(rows.toReversed(), { maxNewTokens: 20 });
  expect(again.toReversed().map(({ ids }) => [...ids])).toEqual(together.map(({ ids }) => [...ids]));
  for (const [index, row] of rows.entries()) {
    const [alone] = await generator.generate([row], { maxNewTokens: 20 });
    const found = at(together, index);
    expect([...(alone?.ids ?? [])], `row ${index}`).toEqual([...found.ids]);
    expect(alone?.finish).toBe(found.finish);
    expectWithin(`row ${index}`, alone?.logProbabilities ?? [], found.logProbabilities, 2e-5);
    const { maxNewTokens = 20, topLogProbabilities = 0 } = row.options ?? {};
    expect(found.ids.length).toBeLessThanOrEqual(maxNewTokens);
    expect(found.finish).toBe(found.ids.at(-1) === model.endId ? "end" : "length");
    expect(found.top?.map(({ ids }) => ids.length)).toEqual(
      topLogProbabilities === 0 ? undefined : Array.from(found.ids, () => topLogProbabilities),
    );
  }
  expect(together.some(({ ids }) => ids.length === 20)).toBe(true);
  // The program for plain rows and the one for rows with options choose the same.
  const [plain] = await generator.generate([at(rows, 0)], { maxNewTokens: 20 });
  expect([...(plain?.ids ?? [])]).toEqual([...at(together, 0).ids]);
});

test("log-probabilities are the model's own, whatever chose the token, and the likeliest are listed in order", async () => {
  await using generator = createTokenGenerator({ device, model, weights });
  const listed = rows.map((row) => ({ ...row, options: { ...row.options, topLogProbabilities: 20 } }));
  const answers = await generator.generate(listed, { maxNewTokens: 20 });
  for (const [index, { ids, logProbabilities, top }] of answers.entries()) {
    const slow = await scoreSlowly({ ...at(rows, index), target: ids }, { device, model, tensors: weights });
    expectWithin(`row ${index}`, logProbabilities, slow.logProbabilities, 2e-5);
    for (const [step, { ids: topIds, logProbabilities: topLogs }] of (top ?? []).entries()) {
      const own = at(slow.distributions, step);
      const order = [...own.keys()].sort((left, right) => at(own, right) - at(own, left)).slice(0, 20);
      expect([...topIds].toSorted()).toEqual(order.toSorted());
      expectWithin(
        "top",
        topLogs,
        Array.from(topIds, (id) => at(own, id)),
        2e-5,
      );
      expect([...topLogs]).toEqual([...topLogs].toSorted((left, right) => right - left));
    }
  }
});

test("seeds decide what is drawn: equal ones the same, others, and those of other samples, something else", async () => {
  await using generator = createTokenGenerator({ device, model: endless, weights });
  const input = inputOf(3, 9);
  const draw = async (seeds: readonly number[]) => {
    const some = seeds.map((seed) => ({ input, options: { temperature: 1, seed, maxNewTokens: 16 } }));
    return (await generator.generate(some)).map(({ ids }) => ids.join());
  };
  const seeds = [0, 1, 2, 3].map((sample) => sampleSeed(7, sample));
  expect(at(seeds, 0)).toBe(7);
  const found = await draw([...seeds, ...seeds]);
  expect(found.slice(4)).toEqual(found.slice(0, 4));
  expect(new Set(found).size).toBe(4);
  expect(await draw([at(seeds, 2)])).toEqual([found[2]]);
});

test("a decoder without an encoder draws the same alone and in a batch", async () => {
  const config = { vocabularySize: 24, width: 16, heads: 2, layers: 2, positions: 60 };
  const toy = { ...createToyDecoder(config), decoding: toyDecoding(config), endId: 9 };
  await using generator = createTokenGenerator({ device, model: toy, weights: initialTensors(toy.parameters, 4) });
  const some = rows.map(({ input, options }) => ({
    input: input.map((id) => 3 + (id % 21)),
    options: { ...options, topK: 10 },
  }));
  const together = await generator.generate(some, { maxNewTokens: 30 });
  for (const [index, row] of some.entries()) {
    const [alone] = await generator.generate([row], { maxNewTokens: 30 });
    expect([...(alone?.ids ?? [])], `row ${index}`).toEqual([...at(together, index).ids]);
  }
});

/** Rows of every run of decoding steps. */
function recording(rowsOfRuns: number[]): Device {
  return {
    ...device,
    compile: async (bytes, options) => {
      const program = await device.compile(bytes, options);
      return {
        ...program,
        run: (feeds, how) => {
          rowsOfRuns.push(...(feeds.ids?.shape ?? []));
          return program.run(feeds, how);
        },
      };
    },
  };
}

test("rows that have ended are left out of the batch, and the others, with experts of their own, go on", async () => {
  const points = model.hookPoints;
  const experts = randomExperts(points);
  const mixed = mixExperts(experts, points, { perRow: 2 });
  const runs: number[] = [];
  await using generator = createTokenGenerator({
    ...{ device: recording(runs), model: endless, weights },
    delta: mixed.delta,
  });
  const some = experts.map(
    ({ id }, row): GenerationRow => ({
      input: inputOf(row, 8),
      experts: [{ id, weight: 1 }],
      options: { maxNewTokens: row === 2 || row === 5 ? 60 : 4, temperature: row % 2, seed: row },
    }),
  );
  const found = await generator.generate(some, { deltaTensors: mixed.tensors });
  expect(runs).toEqual([8, 2, 2, 2, 2, 2, 2, 2]);
  expect(found.map(({ ids }) => ids.length)).toEqual([4, 4, 60, 4, 4, 60, 4]);
  for (const row of [2, 5]) {
    const { delta, tensors } = at(experts, row);
    await using alone = createTokenGenerator({
      ...{ device, model: endless, weights },
      delta: createDelta(delta, points),
    });
    const { experts: _, ...asked } = at(some, row);
    const [expected] = await alone.generate([asked], { deltaTensors: tensors });
    expect([...at(found, row).ids]).toEqual([...(expected?.ids ?? [])]);
  }
});

test("a row that its reader stops gives no more parts, is not computed for long, and leaves the others alone", async () => {
  const runs: number[] = [];
  await using generator = createTokenGenerator({
    ...{ device: recording(runs), model: endless, weights },
    inputLength: 1024,
  });
  // Two batches: the last row is too long for the others.
  const some = [
    ...rows.slice(0, 4).map((given, row) => ({ ...given, input: inputOf(row, 9) })),
    { input: inputOf(9, 600) },
  ];
  const expected = await generator.generate(some, { maxNewTokens: 40 });
  const read = async (stopAfterFirst: readonly number[], stopAtOnce: readonly number[] = []) => {
    const stream = generator.stream(some, { maxNewTokens: 40 });
    const parts: GeneratedPart[] = [];
    for (const row of stopAtOnce) stream.stop(row);
    for await (const part of stream) {
      parts.push(part);
      if (stopAfterFirst.includes(part.row)) stream.stop(part.row);
    }
    return some.map((_, row) => parts.filter((part) => part.row === row));
  };
  runs.length = 0;
  const found = await read([0, 2, 3]);
  expect(found.map((parts) => parts.length)).toEqual([1, 5, 1, 1, 5]);
  expect(found.flatMap((parts) => parts.map(({ finish }) => finish)).filter(Boolean)).toEqual(["length", "length"]);
  for (const row of [1, 4]) {
    expect(found[row]?.flatMap(({ ids }) => [...ids])).toEqual([...at(expected, row).ids]);
  }
  expect(runs.toSorted((left, right) => left - right)).toEqual([...Array.from({ length: 9 }, () => 1), 4]);

  runs.length = 0;
  expect((await read([], [0, 1, 2, 3, 4])).flat()).toEqual([]);
  expect(runs).toEqual([]);
  // A row stopped while a part of another one is read.
  const stream = generator.stream(some.slice(0, 2), { maxNewTokens: 40 });
  const seen: number[] = [];
  for await (const { row } of stream) {
    seen.push(row);
    stream.stop(1);
    stream.stop(99);
  }
  expect(seen).toEqual([0, 0, 0, 0, 0]);
});

test.each<[RowOptions, RegExp]>([
  [{ temperature: -1, seed: 1 }, /row 1: temperature: expected 0, or a number from 0.0001 to 100, got -1/],
  [{ temperature: 1e-9, seed: 1 }, /temperature: .*got 1e-9/],
  [{ temperature: 101, seed: 1 }, /temperature: .*got 101/],
  [{ temperature: Number.NaN, seed: 1 }, /temperature: .*got NaN/],
  [{ temperature: 1 }, /seed: expected an integer, as the temperature is 1/],
  [{ seed: -1 }, /seed: expected an integer from 0 to 4294967295, got -1/],
  [{ seed: 0.5 }, /seed: .*got 0.5/],
  [{ topK: 0 }, /topK: expected an integer of 1 or more, got 0/],
  [{ topK: 1.5 }, /topK: .*got 1.5/],
  [{ topP: 0 }, /topP: expected a number above 0 and at most 1, got 0/],
  [{ topP: 1.1 }, /topP: .*got 1.1/],
  [{ minP: -0.1 }, /minP: expected a number from 0 to 1, got -0.1/],
  [{ minP: Number.NaN }, /minP: .*got NaN/],
  [{ repetitionPenalty: 0 }, /repetitionPenalty: expected a number from 0.01 to 100, got 0/],
  [{ repetitionPenalty: Number.POSITIVE_INFINITY }, /repetitionPenalty: .*got Infinity/],
  [{ topLogProbabilities: 21 }, /topLogProbabilities: expected an integer from 0 to 20, got 21/],
  [{ maxNewTokens: 0 }, /row 1: maxNewTokens: expected an integer of 1 or more, got 0/],
])("%j is refused", async (options, message) => {
  await using generator = createTokenGenerator({ device, model, weights });
  const some = [{ input: inputOf(0, 4) }, { input: inputOf(1, 4), options }];
  await expect(generator.generate(some)).rejects.toMatchObject({
    code: "invalid-argument",
    message: expect.stringMatching(message),
  });
});

test("weights that are not finite are reported, whatever chooses", async () => {
  const broken = new Map(weights).set("lm_head.weight", {
    dtype: "float32",
    shape: [64, 16],
    data: new Float32Array(64 * 16).fill(Number.NaN),
  });
  await using generator = createTokenGenerator({ device, model, weights: broken });
  const input = inputOf(0, 4);
  const expected = { code: "non-finite", message: expect.stringMatching(/row 0: expected finite/) };
  const options = { temperature: 1, topP: 0.5, seed: 1 };
  await expect(generator.generate([{ input, options }])).rejects.toMatchObject(expected);
  await expect(generator.searchBeams([{ input, beams: 2 }])).rejects.toMatchObject(expected);
});

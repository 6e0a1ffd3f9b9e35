import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { at } from "../../src/core/at.js";
import { createRandom } from "../../src/core/random.js";
import { createDelta, type DeltaConfig } from "../../src/experts/delta-config.js";
import { lora } from "../../src/experts/lora.js";
import { mixExperts } from "../../src/experts/mixed.js";
import type {
  Generated,
  GeneratedPart,
  GenerationRow,
  TokenGeneratorOptions,
} from "../../src/generation/generation.js";
import { createTokenGenerator } from "../../src/generation/token-generator.js";
import { initialTensors } from "../../src/models/initialize.js";
import type { WeightedExpert } from "../../src/models/packed-batch.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import { castTensor } from "../../src/tensors/convert.js";
import { openSafetensors, writeSafetensors } from "../../src/tensors/node/safetensors-file.js";
import { configs, randomExpert, randomExperts } from "../experts/tiny-experts.js";
import { expectWithin, readModel } from "../parity/fixture.js";
import { createToyDecoder } from "../toy-decoder.js";
import { answerSlowly, type OracleAnswer } from "./greedy-oracle.js";
import { toyDecoding } from "./toy-decoding.js";

const TOLERANCE = 2e-5;
const device = await openDevice({ threads: 1 });
afterAll(() => device.close());
const fixture = await readModel("v1_1");
// A token that comes up amid answers, so that some end early.
const model = { ...fixture.model, endId: 15 };
const { weights } = fixture;
const points = model.hookPoints;

function inputOf(seed: number, length: number): Int32Array {
  const random = createRandom(5, seed);
  return Int32Array.from({ length }, (_, index) => (index === length - 1 ? 1 : 2 + random.nextInteger(60)));
}

const inputs = [7, 1, 20, 33, 3, 12, 5, 31].map((length, seed): GenerationRow => ({ input: inputOf(seed, length) }));

function expectAnswers(found: readonly Generated[], expected: readonly OracleAnswer[], endId = model.endId): void {
  expect(found.map(({ ids }) => [...ids])).toEqual(expected.map(({ ids }) => ids));
  expect(found.map(({ finish }) => finish)).toEqual(
    expected.map(({ ids }) => (ids.at(-1) === endId ? "end" : "length")),
  );
  for (const [row, { logProbabilities }] of found.entries()) {
    expectWithin(`row ${row}`, logProbabilities, at(expected, row).logProbabilities, TOLERANCE);
  }
}

async function answersOf(
  rows: readonly GenerationRow[],
  options: Partial<TokenGeneratorOptions> & Parameters<ReturnType<typeof createTokenGenerator>["generate"]>[1] = {},
): Promise<Generated[]> {
  const { maxNewTokens, deltaTensors, signal, ...rest } = options;
  await using generator = createTokenGenerator({ device, model, weights, ...rest });
  return await generator.generate(rows, {
    ...(maxNewTokens === undefined ? {} : { maxNewTokens }),
    ...(deltaTensors === undefined ? {} : { deltaTensors }),
    ...(signal === undefined ? {} : { signal }),
  });
}

test.each([
  { maxNewTokens: 1, endId: 15 },
  { maxNewTokens: 8, endId: 15 },
  { maxNewTokens: 9, endId: 15 },
  { maxNewTokens: 40, endId: 15 },
  // No answer ends by itself.
  { maxNewTokens: 40, endId: 64 },
])("the cache answers what full recomputation answers, $maxNewTokens tokens, end $endId", async (row) => {
  const { maxNewTokens, endId } = row;
  const ending = { ...model, endId };
  const expected = await answerSlowly(inputs, { device, model: ending, tensors: weights, maxNewTokens });
  expectAnswers(await answersOf(inputs, { model: ending, maxNewTokens }), expected, endId);
  expect(expected.some(({ ids }) => ids.length > Math.min(20, maxNewTokens - 1))).toBe(true);
});

test.each(["float16", "float32"] as const)("weights in a file answer as those in memory, %s", async (dtype) => {
  const stored = new Map([...weights].map(([name, one]) => [name, castTensor(one, dtype)]));
  const read = new Map([...stored].map(([name, one]) => [name, castTensor(one, "float32")]));
  const { delta: config, tensors } = at(randomExperts(points), 0);
  const folder = await mkdtemp(join(tmpdir(), "cadre-generation-"));
  try {
    await writeSafetensors(join(folder, "model.safetensors"), stored);
    await using source = await openSafetensors(join(folder, "model.safetensors"));
    for (const expert of [{}, { delta: createDelta(config, points), deltaTensors: tensors }]) {
      const options = { maxNewTokens: 20, ...expert };
      const expected = await answersOf(inputs, { ...options, weights: read });
      const found = await answersOf(inputs, { ...options, weights: source });
      expectAnswers(
        found,
        expected.map(({ ids, logProbabilities }) => ({ ids: [...ids], logProbabilities: [...logProbabilities] })),
      );
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.each(Object.entries(configs))(
  "an expert (%s) answers what full recomputation with it answers",
  async (id, config) => {
    const expert = randomExpert(id, config, points);
    const delta = createDelta(config, points);
    const tensors = new Map([...weights, ...expert.tensors]);
    const options = { maxNewTokens: 20 };
    const expected = await answerSlowly(inputs, { device, model, tensors, delta, ...options });
    expectAnswers(await answersOf(inputs, { ...options, delta, deltaTensors: expert.tensors }), expected);
    const base = await answerSlowly(inputs, { device, model, tensors: weights, ...options });
    expect(expected.map(({ ids }) => ids)).not.toEqual(base.map(({ ids }) => ids));
  },
);

test("rows of one batch are answered by different experts, by weighted lists, and by the base", async () => {
  const experts = randomExperts(points);
  const mixed = mixExperts(experts, points, { perRow: 2 });
  const lists: WeightedExpert[][] = [
    ...experts.map(({ id }) => [{ id, weight: 1 }]),
    [],
    [
      { id: "lora-small", weight: 0.5 },
      { id: "bottleneck-large", weight: 0.7 },
    ],
  ];
  const rows = lists.map((list, row) => ({ input: inputOf(row, 10 + row), experts: list }));
  const options = { maxNewTokens: 20, delta: mixed.delta };
  const tensors = new Map([...weights, ...mixed.tensors]);
  const expected = await answerSlowly(rows, { device, model, tensors, ...options });
  const found = await answersOf(rows, { ...options, deltaTensors: mixed.tensors });
  expectAnswers(found, expected);
  const single = at(experts, 0);
  const alone = await answersOf(rows.slice(0, 1), {
    maxNewTokens: 20,
    delta: createDelta(single.delta, points),
    deltaTensors: single.tensors,
  });
  expect([...at(alone, 0).ids]).toEqual([...at(found, 0).ids]);
});

test("other tensors of the delta take effect at the next call", async () => {
  const config: DeltaConfig = { kind: "lora", config: { rank: 2, alpha: 3, targets: ["q", "v"] } };
  const [first, second] = ["one", "two"].map((id) => randomExpert(id, config, points).tensors);
  await using generator = createTokenGenerator({ device, model, weights, delta: createDelta(config, points) });
  const answer = async (deltaTensors: typeof first) =>
    (await generator.generate(inputs, deltaTensors === undefined ? {} : { deltaTensors })).map(({ ids }) => [...ids]);
  const before = await answer(first);
  expect(await answer(second)).not.toEqual(before);
  expect(await answer(first)).toEqual(before);
});

test("a decoder without an encoder answers as its full recomputation, with and without LoRA", async () => {
  const config = { vocabularySize: 24, width: 16, heads: 2, layers: 2, positions: 60 };
  const toy = { ...createToyDecoder(config), decoding: toyDecoding(config), endId: 9 };
  const tensors = initialTensors(toy.parameters, 4);
  const rows = inputs.map(({ input }) => ({ input: input.map((id) => 3 + (id % 21)).slice(0, 18) }));
  const delta = lora({ rank: 2, alpha: 4 }, toy.hookPoints);
  const deltaTensors = randomExpert("toy", { kind: "lora", config: { rank: 2, alpha: 4 } }, toy.hookPoints).tensors;
  for (const maxNewTokens of [5, 40]) {
    const options = { device, model: toy, maxNewTokens };
    const found = await answersOf(rows, { ...options, weights: tensors });
    expectAnswers(found, await answerSlowly(rows, { ...options, tensors }), toy.endId);
    const adapted = await answersOf(rows, { ...options, weights: tensors, delta, deltaTensors });
    const all = new Map([...tensors, ...deltaTensors]);
    expectAnswers(adapted, await answerSlowly(rows, { ...options, delta, tensors: all }), toy.endId);
  }
});

test("any rows in any order are answered as each by itself", async () => {
  await using generator = createTokenGenerator({ device, model, weights });
  const alone = new Map<string, number[]>();
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(5), fc.integer({ min: 1, max: 40 })), { minLength: 1, maxLength: 40 }),
      async (chosen) => {
        const rows = chosen.map(([seed, length]) => ({ input: inputOf(seed, length) }));
        const found = await generator.generate(rows, { maxNewTokens: 18 });
        for (const [index, row] of rows.entries()) {
          const key = row.input.join();
          const [single] = alone.has(key) ? [] : await generator.generate([row], { maxNewTokens: 18 });
          const expected = alone.get(key) ?? [...(single?.ids ?? [])];
          alone.set(key, expected);
          expect([...at(found, index).ids], `row ${index}`).toEqual(expected);
        }
      },
    ),
    { numRuns: 6, seed: 3 },
  );
});

test("equal calls give equal bits", async () => {
  await using generator = createTokenGenerator({ device, model, weights });
  expect(await generator.generate(inputs)).toEqual(await generator.generate(inputs));
});

test("the stream's parts make up the answers, and one that is left early lets the next call in", async () => {
  await using generator = createTokenGenerator({ device, model, weights });
  const expected = await generator.generate(inputs, { maxNewTokens: 40 });
  const parts: GeneratedPart[] = [];
  for await (const part of generator.stream(inputs, { maxNewTokens: 40 })) {
    parts.push(part);
  }
  for (const [row, { ids, logProbabilities, finish }] of expected.entries()) {
    const own = parts.filter((part) => part.row === row);
    expect(own.flatMap((part) => [...part.ids])).toEqual([...ids]);
    expect(own.flatMap((part) => [...part.logProbabilities])).toEqual([...logProbabilities]);
    expect(own.map((part) => part.finish)).toEqual([...own.slice(1).map(() => undefined), finish]);
  }
  for await (const part of generator.stream(inputs, { maxNewTokens: 40 })) {
    expect(part.ids.length).toBeGreaterThan(0);
    break;
  }
  const [both, again] = await Promise.all([
    generator.generate(inputs, { maxNewTokens: 40 }),
    generator.generate(inputs.slice(1), { maxNewTokens: 40 }),
  ]);
  expect(both).toEqual(expected);
  expect(again.map(({ ids }) => [...ids])).toEqual(expected.slice(1).map(({ ids }) => [...ids]));
});

test("inputs that are too long are cut, keep their end and are counted", async () => {
  const [cut, short] = await answersOf(inputs.slice(2, 4), { inputLength: 20, maxNewTokens: 8 });
  const long = at(inputs, 3).input;
  const kept = Int32Array.from([...long.slice(0, 19), 1]);
  const [expected] = await answersOf([{ input: kept }], { maxNewTokens: 8 });
  expect(cut?.inputTokensCut).toBe(0);
  expect(short?.inputTokensCut).toBe(13);
  expect(short?.ids).toEqual(expected?.ids);
});

test("no rows, no answers", async () => {
  expect(await answersOf([])).toEqual([]);
});

test("abort is heard before the work and between runs, and the generator goes on", async () => {
  await using generator = createTokenGenerator({ device, model: { ...model, endId: 64 }, weights });
  const fired = AbortSignal.abort(new Error("enough"));
  await expect(generator.generate(inputs, { signal: fired })).rejects.toMatchObject({ code: "aborted" });
  const controller = new AbortController();
  const read = async () => {
    for await (const _ of generator.stream(inputs, { signal: controller.signal, maxNewTokens: 100 })) {
      controller.abort();
    }
  };
  await expect(read()).rejects.toMatchObject({ code: "aborted" });
  expect((await generator.generate(inputs, { maxNewTokens: 2 })).map(({ ids }) => ids.length)).toEqual(
    inputs.map(() => 2),
  );
});

test("bad calls are refused in words", async () => {
  const refused = (
    rows: readonly GenerationRow[],
    options: Parameters<typeof answersOf>[1],
    expected: { readonly code: string; readonly message: RegExp },
  ) =>
    expect(answersOf(rows, options)).rejects.toMatchObject({
      code: expected.code,
      message: expect.stringMatching(expected.message),
    });
  const code = "invalid-argument";
  await refused(
    inputs,
    { maxNewTokens: 0 },
    { code, message: /maxNewTokens: expected an integer of 1 or more, got 0/ },
  );
  await refused(inputs, { maxNewTokens: 1.5 }, { code, message: /got 1.5/ });
  await refused([{ input: Int32Array.of() }], {}, { code, message: /row 0: .*got none/ });
  await refused(
    [...inputs.slice(0, 1), { input: Int32Array.of(64, 1) }],
    {},
    { code, message: /row 1: .*0 to 63, got 64/ },
  );
  await refused([{ input: Int32Array.of(-1, 1) }], {}, { code, message: /row 0: .*got -1/ });
  const delta = lora({ rank: 2, alpha: 2 }, points);
  await refused(inputs, { delta }, { code, message: /tensors of the lora delta/ });
  await refused(inputs, { deltaTensors: new Map() }, { code, message: /generator has no delta/ });
  await refused(inputs, { delta, deltaTensors: new Map() }, { code: "mismatch", message: /expected a tensor/ });
  const mixed = mixExperts(randomExperts(points), points);
  await refused(
    [{ input: Int32Array.of(5, 1), experts: [{ id: "nobody", weight: 1 }] }],
    { delta: mixed.delta, deltaTensors: mixed.tensors },
    { code: "not-found", message: /"nobody"/ },
  );
  const broken = new Map(weights).set("lm_head.weight", {
    dtype: "float32",
    shape: [64, 16],
    data: new Float32Array(64 * 16).fill(Number.NaN),
  });
  await refused(inputs, { weights: broken }, { code: "non-finite", message: /row \d: expected finite/ });
  const { decoding: _, ...scorer } = model;
  expect(() => createTokenGenerator({ device, model: scorer, weights })).toThrow(/only scores/);
  const generator = createTokenGenerator({ device, model, weights });
  await generator.close();
  await expect(generator.generate(inputs)).rejects.toMatchObject({ code: "closed" });
});

import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { at } from "../../src/core/at.js";
import { type ChoiceScorerOptions, createChoiceScorer } from "../../src/evaluation/score-choices.js";
import { bottleneck } from "../../src/experts/bottleneck.js";
import { lora } from "../../src/experts/lora.js";
import { type EncodedExample, IGNORED } from "../../src/mixtures/encoded-example.js";
import { arbitraryExample, exampleOf } from "../../src/mixtures/examples.test.helpers.js";
import { layOutPacks } from "../../src/mixtures/pack.js";
import type { Delta } from "../../src/models/delta.js";
import { initialTensors } from "../../src/models/initialize.js";
import type { Model } from "../../src/models/model.js";
import { openModelFolder } from "../../src/models/node/model-folder.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import { castTensor } from "../../src/tensors/convert.js";
import type { Tensor } from "../../src/tensors/tensor.js";
import { train } from "../../src/training/train.js";
import { evaluate } from "../parity/evaluate.js";
import {
  expectWithin,
  FIXTURES,
  floatsOf,
  inputRows,
  integersOf,
  labelRows,
  readModel,
  readTensors,
  type TensorMap,
} from "../parity/fixture.js";
import { createToyDecoder } from "../toy-decoder.js";
import { tinyModel, tinyOptions } from "../training/tiny-training.js";

const TOLERANCE = 1e-5;
const device = await openDevice({ threads: 1 });
const { model, weights } = await readModel("v1_1");

/** An example whose tokens the fixture model and the toy decoder know. */
function small({ input, targets, correct }: EncodedExample, vocabulary: number): EncodedExample {
  const within = (ids: Int32Array): Int32Array => ids.map((id) => (id === 1 ? id : 3 + (id % (vocabulary - 3))));
  return { input: within(input), targets: targets.map(within), correct };
}

function smallExample(seed: number, lengths: Parameters<typeof exampleOf>[1], vocabulary = 32): EncodedExample {
  return small(exampleOf(seed, lengths), vocabulary);
}

/** The straightforward way: every choice by itself, as the one target of a batch of its own. */
async function oracle(
  examples: readonly EncodedExample[],
  options: { readonly model: Model; readonly tensors: TensorMap; readonly delta?: Delta },
): Promise<number[][]> {
  const result: number[][] = [];
  for (const { input, targets } of examples) {
    const scores: number[] = [];
    for (const target of targets) {
      const shape = { rows: 1, inputLength: input.length, targetLength: target.length, sequences: 1 };
      const batch = layOutPacks([[{ input, targets: [target], correct: 0 }]], shape, options.model.padId);
      const { logProbabilities } = await evaluate({ device, ...options, batch });
      scores.push(logProbabilities.reduce((sum, one, position) => sum + (target[position] === IGNORED ? 0 : one), 0));
    }
    result.push(scores);
  }
  return result;
}

function expectScores(found: readonly Float64Array[], expected: readonly (readonly number[])[]): void {
  expect(found.map(({ length }) => length)).toEqual(expected.map(({ length }) => length));
  expectWithin(
    "scores",
    found.flatMap((scores) => [...scores]),
    expected.flat(),
    TOLERANCE * 10,
  );
  // Relative to the size of a score, which is a sum over tokens.
  found.forEach((scores, example) => {
    scores.forEach((score, choice) => {
      const reference = at(at(expected, example), choice);
      expect(Math.abs(score - reference)).toBeLessThanOrEqual(TOLERANCE * Math.max(1, Math.abs(reference)));
    });
  });
}

async function scoresOf(
  examples: readonly EncodedExample[],
  options: Omit<ChoiceScorerOptions, "device" | "model"> & { readonly model?: Model },
  tensors?: TensorMap,
): Promise<readonly Float64Array[]> {
  await using scorer = createChoiceScorer({ device, model, ...options });
  const { scores } = await scorer.score(examples, tensors === undefined ? {} : { deltaTensors: tensors });
  return scores;
}

const reference = await readTensors("v1_1/choices/case.safetensors");
const fixtureRows = integersOf(reference, "row");
const fixtureExamples = inputRows(reference).map(
  (input, row): EncodedExample => ({
    input,
    targets: labelRows(reference).filter((_, choice) => fixtureRows[choice] === row),
    correct: at(integersOf(reference, "correct"), row),
  }),
);

test.each([
  { normalization: "none", tensor: "logprob_sum" },
  { normalization: "length", tensor: "logprob_mean" },
] as const)("scores are transformers' $tensor, from memory, from a mapped file and from f16", async (row) => {
  const { normalization, tensor } = row;
  const expected = [...floatsOf(reference, tensor)];
  const inMemory = await scoresOf(fixtureExamples, { weights, normalization });
  expectWithin(
    "scores",
    inMemory.flatMap((scores) => [...scores]),
    expected,
    5 * TOLERANCE,
  );
  await using folder = await openModelFolder(`${FIXTURES}/v1_1`);
  const mapped = await scoresOf(fixtureExamples, { weights: folder.weights, normalization });
  expect(mapped).toEqual(inMemory);
  const half = new Map([...weights].map(([name, one]): [string, Tensor] => [name, castTensor(one, "float16")]));
  const rounded = new Map([...half].map(([name, one]): [string, Tensor] => [name, castTensor(one, "float32")]));
  expect(await scoresOf(fixtureExamples, { weights: half, normalization })).toEqual(
    await scoresOf(fixtureExamples, { weights: rounded, normalization }),
  );
});

test("packed scores are those of every choice by itself, in the order of the examples", async () => {
  const examples = [
    ...[140, 5, 300, 31, 127, 128, 129, 2, 60].map((input, seed) =>
      smallExample(seed, { input, targets: [1 + (seed % 4), 3, 2] }),
    ),
    // Choices of very different length, and one alone.
    smallExample(20, { input: 9, targets: [1, 90, 7] }),
    smallExample(21, { input: 1, targets: [4] }),
  ];
  expectScores(await scoresOf(examples, { weights }), await oracle(examples, { model, tensors: weights }));
});

test("a token that is ignored does not count", async () => {
  const example = smallExample(1, { input: 8, targets: [5, 4] });
  const targets = example.targets.map((target) => target.map((id, index) => (index === 1 ? IGNORED : id)));
  const holed = [{ ...example, targets }];
  expectScores(await scoresOf(holed, { weights }), await oracle(holed, { model, tensors: weights }));
});

test("a decoder without an encoder is scored alike", async () => {
  const toy = createToyDecoder({ vocabularySize: 24, width: 16, heads: 2, layers: 2, positions: 24 });
  const tensors = initialTensors(toy.parameters, 4);
  const example = arbitraryExample({ input: 12, target: 12 });
  await using scorer = createChoiceScorer({ device, model: toy, weights: tensors });
  await fc.assert(
    fc.asyncProperty(fc.array(example, { minLength: 1, maxLength: 4 }), async (drawn) => {
      const examples = drawn.map((one) => small(one, 24));
      const { scores } = await scorer.score(examples);
      expectScores(scores, await oracle(examples, { model: toy, tensors }));
    }),
    { numRuns: 4 },
  );
});

/** A delta's tensors that change something: its initial ones leave the model as it is. */
function disturbed(delta: Delta): TensorMap {
  const noise = initialTensors(
    delta.parameters.map(({ name, shape }) => ({
      name,
      shape,
      initializer: { kind: "normal", standardDeviation: 0.3 },
    })),
    8,
  );
  return noise;
}

test.each([
  { name: "lora", delta: lora({ rank: 2, alpha: 4, targets: ["q", "v"] }, model.hookPoints) },
  {
    name: "bottleneck, whose norms stand in the place of the model's",
    delta: bottleneck({ width: 3 }, model.hookPoints),
  },
])("a delta: $name", async ({ delta }) => {
  const examples = [2, 40, 17].map((input, seed) => smallExample(seed, { input, targets: [2, 4] }));
  const tensors = disturbed(delta);
  const expected = await oracle(examples, { model, tensors: new Map([...weights, ...tensors]), delta });
  expectScores(await scoresOf(examples, { weights, delta }, tensors), expected);
  await using folder = await openModelFolder(`${FIXTURES}/v1_1`);
  expectScores(await scoresOf(examples, { weights: folder.weights, delta }, tensors), expected);
  const base = await scoresOf(examples, { weights });
  expect(Math.abs(at(at(base, 0), 0) - at(at(expected, 0), 0))).toBeGreaterThan(0.01);
});

test("one scorer serves several experts of a kind", async () => {
  const delta = lora({ rank: 2, alpha: 4, targets: ["q"] }, model.hookPoints);
  const examples = [smallExample(3, { input: 12, targets: [2, 3] })];
  const first = disturbed(delta);
  const second = initialTensors(delta.parameters, 5);
  await using scorer = createChoiceScorer({ device, model, weights, delta });
  const { scores: firstScores } = await scorer.score(examples, { deltaTensors: first });
  const { scores: secondScores } = await scorer.score(examples, { deltaTensors: second });
  expect(secondScores).not.toEqual(firstScores);
  expect((await scorer.score(examples, { deltaTensors: first })).scores).toEqual(firstScores);
});

test.each([{ kind: "all weights" }, { kind: "lora" }])("the state of a training: $kind", async ({ kind }) => {
  const tiny = tinyModel();
  const tinyWeights = initialTensors(tiny.parameters, 6);
  const delta = kind === "lora" ? lora({ rank: 2, alpha: 4, targets: ["q", "v"] }, tiny.hookPoints) : undefined;
  const examples = [3, 12, 20].map((input, seed) => smallExample(seed, { input, targets: [2, 3, 5] }));
  const withDelta = delta === undefined ? {} : { delta };
  // All weights: the scorer has none of its own, so they can only come from the state.
  await using scorer = createChoiceScorer({
    device,
    model: tiny,
    ...(delta === undefined ? {} : { weights: tinyWeights, delta }),
  });
  const seen: (readonly Float64Array[])[] = [];
  const { tensors } = await train(
    tinyOptions(device, {
      model: tiny,
      weights: tinyWeights,
      ...withDelta,
      steps: 6,
      validation: {
        everySteps: 3,
        score: async (state) => seen.push((await scorer.score(examples, { state })).scores),
      },
    }),
  );
  expect(seen.length).toBe(2);
  expect(seen[1]).not.toEqual(seen[0]);
  const after =
    delta === undefined
      ? await scoresOf(examples, { model: tiny, weights: tensors })
      : await scoresOf(examples, { model: tiny, weights: tinyWeights, delta }, tensors);
  expect(seen[1]).toEqual(after);
});

test("over-long inputs are cut as in training, and counted", async () => {
  const long = smallExample(1, { input: 50, targets: [2, 2] });
  const short = smallExample(2, { input: 20, targets: [2, 2] });
  await using scorer = createChoiceScorer({ device, model, weights, inputLength: 30 });
  const result = await scorer.score([long, short]);
  expect(result).toMatchObject({ truncatedExamples: 1, inputTokensCut: 20 });
  const cut = { ...long, input: Int32Array.of(...long.input.subarray(0, 29), 1) };
  const expected = await scorer.score([cut, short]);
  expect(result.scores).toEqual(expected.scores);
  expect(expected.truncatedExamples).toBe(0);
});

test("an empty list has no scores", async () => {
  await using scorer = createChoiceScorer({ device, model, weights });
  expect(await scorer.score([])).toEqual({ scores: [], truncatedExamples: 0, inputTokensCut: 0 });
});

test("errors name the example and what is missing", async () => {
  const example = smallExample(1, { input: 5, targets: [2, 2] });
  const without = (change: Partial<EncodedExample>) => [example, { ...example, ...change }];
  await using scorer = createChoiceScorer({ device, model, weights, targetLength: 20 });
  await expect(scorer.score(without({ targets: [example.input, new Int32Array(16).fill(1)] }))).rejects.toThrow(
    "score: example 1: expected at most 20 tokens in all choices together, got 21 in 2 choices, the longest of 16; raise targetLength",
  );
  await expect(scorer.score(without({ input: new Int32Array() }))).rejects.toThrow(/example 1: .*at least one token/);
  await expect(scorer.score(without({ targets: [] }))).rejects.toThrow(/example 1: .*at least one token/);
  await expect(scorer.score(without({ targets: [Int32Array.of(IGNORED), Int32Array.of(1)] }))).rejects.toThrow(
    /example 1: .*none in choice 0/,
  );
  await expect(scorer.score([example], { deltaTensors: new Map() })).rejects.toThrow(/has no delta/);
  await expect(scoresOf([example], {})).rejects.toThrow(/expected the model's weights or a state/);
  const delta = lora({ rank: 2, alpha: 4, targets: ["q"] }, model.hookPoints);
  await expect(scoresOf([example], { weights, delta })).rejects.toThrow(/tensors of the lora delta/);
  await expect(scoresOf([example], { weights, delta }, new Map())).rejects.toMatchObject({ code: "mismatch" });
  await expect(scorer.score([example], { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "aborted" });
  // None of it broke the scorer.
  expect((await scorer.score([example])).scores.length).toBe(1);
  await scorer.close();
  await expect(scorer.score([example])).rejects.toMatchObject({ code: "closed" });
});

test("programs are reused, and those that have not been used for longest are closed", async () => {
  const compile = vi.spyOn(device, "compile");
  try {
    await using scorer = createChoiceScorer({ device, model, weights, targetLength: 4096 });
    const ofTargets = (length: number) => [smallExample(length, { input: 10, targets: [length] })];
    const small = await scorer.score(ofTargets(10));
    await scorer.score(ofTargets(12));
    expect(compile).toHaveBeenCalledTimes(1);
    const first = await scorer.score(ofTargets(610));
    // At once: every call needs a program, more large ones than are kept.
    const lengths = [630, 650, 670, 690, 710, 730, 750];
    const all = await Promise.all(lengths.map((length) => scorer.score(ofTargets(length))));
    expect(all.every(({ scores }) => Number.isFinite(scores[0]?.[0]))).toBe(true);
    expect(compile).toHaveBeenCalledTimes(9);
    expect(await scorer.score(ofTargets(610))).toEqual(first);
    expect(compile).toHaveBeenCalledTimes(10);
    expect(await scorer.score(ofTargets(10))).toEqual(small);
    expect(compile).toHaveBeenCalledTimes(10);
  } finally {
    compile.mockRestore();
  }
});

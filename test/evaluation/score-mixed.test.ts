import fc from "fast-check";
import { afterAll, expect, test, vi } from "vitest";
import { at } from "../../src/core/at.js";
import type { ChoiceScorer } from "../../src/evaluation/score-choices.js";
import { createChoiceScorer } from "../../src/evaluation/score-choices.js";
import { createDelta } from "../../src/experts/delta-config.js";
import { mixExperts } from "../../src/experts/mixed.js";
import type { Row } from "../../src/experts/rows.js";
import type { EncodedExample } from "../../src/mixtures/encoded-example.js";
import type { WeightedExpert } from "../../src/models/packed-batch.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import { configs, raggedExample, randomExpert, randomExperts } from "../experts/tiny-experts.js";
import { readModel } from "../parity/fixture.js";

const TOLERANCE = 1e-5;
const device = await openDevice({ threads: 1 });
afterAll(() => device.close());
const { model, weights } = await readModel("v1_1");
const points = model.hookPoints;
const experts = randomExperts(points);
const ids = [...Object.keys(configs), "base"];
const mixed = mixExperts(experts, points, { perRow: 2 });
const scorer = createChoiceScorer({ device, model, weights, delta: mixed.delta, perRow: 2 });
const options = { deltaTensors: mixed.tensors };

function listOf(id: string): WeightedExpert[] {
  return id === "base" ? [] : [{ id, weight: 1 }];
}

function rowOf(index: number, id: string): Row {
  return { example: raggedExample(index), experts: listOf(id) };
}

const alone = new Map<string, Promise<readonly Float64Array[]>>();
const EXAMPLES = 12;

/** Scores of all examples by the scorer of one expert. */
function aloneScores(id: string): Promise<readonly Float64Array[]> {
  const known = alone.get(id);
  if (known !== undefined) {
    return known;
  }
  const examples = Array.from({ length: EXAMPLES }, (_, index) => raggedExample(index));
  const own = experts.find((expert) => expert.id === id);
  const result = (async () => {
    await using single = createChoiceScorer({
      device,
      model,
      weights,
      ...(own === undefined ? {} : { delta: createDelta(own.delta, points) }),
    });
    return (await single.score(examples, own === undefined ? {} : { deltaTensors: own.tensors })).scores;
  })();
  alone.set(id, result);
  return result;
}

function expectClose(found: Float64Array, expected: Float64Array, what: string): void {
  expect(found.length, what).toBe(expected.length);
  found.forEach((score, choice) => {
    const reference = at(expected, choice);
    expect(Math.abs(score - reference), what).toBeLessThanOrEqual(TOLERANCE * Math.max(1, Math.abs(reference)));
  });
}

test("any rows of any experts get the scores that each gets from its expert alone", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(EXAMPLES - 1), fc.constantFrom(...ids)), { minLength: 1, maxLength: 24 }),
      async (assignment) => {
        const rows = assignment.map(([index, id]) => rowOf(index, id));
        const { scores } = await scorer.score(rows, options);
        for (const [position, [index, id]] of assignment.entries()) {
          expectClose(at(scores, position), at(await aloneScores(id), index), `${id}, example ${index}`);
        }
      },
    ),
    { numRuns: 12, seed: 3 },
  );
});

test("the experts do differ, and an example as it is is answered by the base", async () => {
  const { scores } = await scorer.score(
    ids.map((id) => rowOf(2, id)),
    options,
  );
  expect(new Set(scores.map(([first = 0]) => first.toFixed(2))).size).toBe(ids.length);
  const [plain] = (await scorer.score([raggedExample(2)], options)).scores;
  expectClose(plain ?? new Float64Array(), at(await aloneScores("base"), 2), "plain");
});

test("a weighted list of two kinds, and one of two experts of a kind, is the same in any company", async () => {
  const lists: WeightedExpert[][] = [
    [
      { id: "lora-small", weight: 0.5 },
      { id: "bottleneck-large", weight: 0.25 },
    ],
    [
      { id: "ia3-all", weight: 0.3 },
      { id: "ia3-keys", weight: 0.7 },
    ],
  ];
  const rows = lists.map((list, index): Row => ({ example: raggedExample(2 + 3 * index), experts: list }));
  const company = Array.from({ length: 9 }, (_, index) => rowOf(index, at(ids, index % ids.length)));
  const { scores: together } = await scorer.score([...company, ...rows, ...company], options);
  for (const [index, row] of rows.entries()) {
    const { scores } = await scorer.score([row], options);
    expectClose(at(together, company.length + index), at(scores, 0), `list ${index}`);
    const half = { ...row, experts: row.experts.slice(0, 1) };
    const { scores: other } = await scorer.score([half], options);
    expect(Math.abs(at(at(other, 0), 0) - at(at(scores, 0), 0))).toBeGreaterThan(1e-3);
  }
});

test("one program for a set of experts and a shape, whoever answers", async () => {
  const compile = vi.spyOn(device, "compile");
  try {
    await using counted = createChoiceScorer({ device, model, weights, delta: mixed.delta, perRow: 2 });
    // Long enough that none shares its batch row.
    const example = { ...raggedExample(2), input: new Int32Array(100).fill(7) };
    const eight = (own: readonly string[]): Row[] =>
      Array.from({ length: 8 }, (_, index) => ({ example, experts: listOf(at(own, index % own.length)) }));
    for (const own of [...ids.map((id) => [id]), ids]) {
      await counted.score(eight(own), options);
    }
    expect(compile).toHaveBeenCalledTimes(1);
    await counted.score(
      [{ example: { ...raggedExample(2), input: new Int32Array(200).fill(7) }, experts: [] }],
      options,
    );
    expect(compile).toHaveBeenCalledTimes(2);
  } finally {
    compile.mockRestore();
  }
});

test("more experts than share a batch row are spread over several", async () => {
  const narrow = mixExperts(experts, points);
  await using single = createChoiceScorer({ device, model, weights, delta: narrow.delta });
  const rows = ["lora-small", "lora-large", "lora-small", "base", "lora-large"].map((id, index) => rowOf(index, id));
  const { scores } = await single.score(rows, { deltaTensors: narrow.tensors });
  for (const [index, { experts: list }] of rows.entries()) {
    expectClose(at(scores, index), at(await aloneScores(list[0]?.id ?? "base"), index), `row ${index}`);
  }
});

test("other experts of the same kinds can be scored by the same scorer", async () => {
  const [first] = experts;
  if (first === undefined) {
    throw new Error("expected an expert");
  }
  const sets = [first, randomExpert("other", first.delta, points)].map((expert) =>
    mixExperts([{ ...expert, id: "it" }], points),
  );
  const delta = at(sets, 0).delta;
  await using counted = createChoiceScorer({ device, model, weights, delta });
  const row: Row = { example: raggedExample(2), experts: [{ id: "it", weight: 1 }] };
  const found: Float64Array[] = [];
  for (const { tensors } of [...sets, at(sets, 0)]) {
    found.push(at((await counted.score([row], { deltaTensors: tensors })).scores, 0));
  }
  expect(found[1]).not.toEqual(found[0]);
  expect(found[2]).toEqual(found[0]);
});

test("experts that do not fit are refused before anything runs, naming the example", async () => {
  const base = rowOf(0, "base");
  const refused = (row: Row): Promise<unknown> => scorer.score([base, row], options);
  await expect(refused(rowOf(1, "nobody"))).rejects.toMatchObject({
    code: "not-found",
    message: expect.stringMatching(/^score: example 1: .*expected experts among .*lora-small, .*got "nobody"$/),
  });
  const weighed = (weight: number): Row => ({ ...base, experts: [{ id: "ia3-all", weight }] });
  await expect(refused(weighed(Number.NaN))).rejects.toThrow(
    /^score: example 1: .*finite weight of "ia3-all", got NaN/,
  );
  const narrow = mixExperts(experts, points);
  await using single = createChoiceScorer({ device, model, weights, delta: narrow.delta });
  const two: Row = { ...base, experts: [...listOf("lora-small"), ...listOf("lora-large")] };
  await expect(single.score([two], { deltaTensors: narrow.tensors })).rejects.toThrow(
    /^score: example 0: .*at most 1 lora experts, got more/,
  );
  const lora = at(experts, 0);
  await using one = createChoiceScorer({ device, model, weights, delta: createDelta(lora.delta, points) });
  await expect(one.score([rowOf(0, "lora-small")], { deltaTensors: lora.tensors })).rejects.toThrow(
    "score: example 0: expected no experts, as the scorer has one lora delta for all; create it with the delta of mixExperts",
  );
  await using bare = createChoiceScorer({ device, model, weights });
  await expect(bare.score([rowOf(0, "lora-small")])).rejects.toThrow(/as the scorer has no delta/);
});

test("every kind changes the encoder, so that no encoding serves two experts", () => {
  for (const delta of Object.values(configs)) {
    expect(createDelta(delta, points).parameters.some(({ name }) => name.startsWith("encoder."))).toBe(true);
  }
});

test("a fake stands in for a scorer of rows", async () => {
  const perfect: ChoiceScorer<Row> = {
    score: async (rows) => ({
      scores: rows.map(({ example }) =>
        Float64Array.from(example.targets, (_, choice) => -Math.abs(choice - example.correct)),
      ),
      truncatedExamples: 0,
      inputTokensCut: 0,
    }),
    close: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
  const real: ChoiceScorer<Row> = scorer;
  const ofExamples: ChoiceScorer<EncodedExample> = scorer;
  expect(real).toBe(ofExamples);
  expect((await perfect.score([rowOf(2, "base")])).scores).toEqual([Float64Array.of(-1, -0, -1)]);
});

import { afterAll, expect, test } from "vitest";
import { at } from "../../src/core/at.js";
import { createRandom } from "../../src/core/random.js";
import { createDelta } from "../../src/experts/delta-config.js";
import { mixExperts } from "../../src/experts/mixed.js";
import type { BeamAnswers, BeamRow } from "../../src/generation/generation.js";
import { createTokenGenerator } from "../../src/generation/token-generator.js";
import { initialTensors } from "../../src/models/initialize.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import { randomExperts } from "../experts/tiny-experts.js";
import { expectWithin, readModel } from "../parity/fixture.js";
import { createToyDecoder } from "../toy-decoder.js";
import { scoreSlowly } from "./slow-scores.js";
import { toyDecoding } from "./toy-decoding.js";

const device = await openDevice({ threads: 1 });
afterAll(() => device.close());
const fixture = await readModel("v1_1");
const model = { ...fixture.model, endId: 15 };
const { weights } = fixture;

function inputOf(seed: number, length: number): Int32Array {
  const random = createRandom(5, seed);
  return Int32Array.from({ length }, (_, index) => (index === length - 1 ? 1 : 2 + random.nextInteger(60)));
}

const idsOf = ({ answers }: BeamAnswers): number[][] => answers.map(({ ids }) => [...ids]);

test("beams of rows with experts of their own are those of each expert alone, with log-probabilities of the whole answers", async () => {
  const points = model.hookPoints;
  const experts = randomExperts(points).slice(1, 4);
  const mixed = mixExperts(experts, points, { perRow: 2 });
  const tensors = new Map([...weights, ...mixed.tensors]);
  const rows = [...experts.map(({ id }) => [{ id, weight: 1 }]), []].map(
    (list, row): BeamRow => ({ input: inputOf(row, 7 + row), experts: list, beams: 3, maxNewTokens: 9 + row }),
  );
  await using generator = createTokenGenerator({ device, model, weights, delta: mixed.delta });
  const found = await generator.searchBeams(rows, { deltaTensors: mixed.tensors });
  for (const [index, { answers }] of found.entries()) {
    const row = at(rows, index);
    expect(answers.length).toBe(3);
    for (const { ids, logProbabilities, score, finish } of answers) {
      const slow = await scoreSlowly({ ...row, target: ids }, { device, model, tensors, delta: mixed.delta });
      expectWithin(`row ${index}`, logProbabilities, slow.logProbabilities, 2e-5);
      const mean = logProbabilities.reduce((sum, value) => sum + value, 0) / ids.length;
      expect(score).toBeCloseTo(mean, 5);
      expect(finish).toBe(ids.at(-1) === model.endId ? "end" : "length");
      expect(ids.length).toBeLessThanOrEqual(9 + index);
    }
  }
  const expert = at(experts, 0);
  await using alone = createTokenGenerator({ device, model, weights, delta: createDelta(expert.delta, points) });
  const { experts: _, ...asked } = at(rows, 0);
  const [single] = await alone.searchBeams([asked], { deltaTensors: expert.tensors });
  expect(single && idsOf(single)).toEqual(idsOf(at(found, 0)));
});

test("a decoder without an encoder searches alike alone and in a batch, and finds no worse than the greedy answer", async () => {
  const config = { vocabularySize: 24, width: 16, heads: 2, layers: 2, positions: 60 };
  const toy = { ...createToyDecoder(config), decoding: toyDecoding(config), endId: 9 };
  const tensors = initialTensors(toy.parameters, 4);
  await using generator = createTokenGenerator({ device, model: toy, weights: tensors });
  const rows = [4, 11, 7].map(
    (length, row): BeamRow => ({ input: inputOf(row, length).map((id) => 3 + (id % 21)), beams: 4, maxNewTokens: 12 }),
  );
  const found = await generator.searchBeams(rows);
  for (const [index, row] of rows.entries()) {
    const [alone] = await generator.searchBeams([row]);
    expect(alone && idsOf(alone)).toEqual(idsOf(at(found, index)));
    for (const { ids, logProbabilities } of at(found, index).answers) {
      const slow = await scoreSlowly({ ...row, target: ids }, { device, model: toy, tensors });
      expectWithin(`row ${index}`, logProbabilities, slow.logProbabilities, 2e-5);
    }
  }
});

test("inputs that are cut are counted; no rows, no answers; abort is heard; bad options are refused", async () => {
  await using generator = createTokenGenerator({ device, model, weights, inputLength: 10 });
  const [cut] = await generator.searchBeams([{ input: inputOf(0, 14), beams: 2, maxNewTokens: 3 }]);
  expect(cut?.inputTokensCut).toBe(4);
  expect(await generator.searchBeams([])).toEqual([]);
  const signal = AbortSignal.abort(new Error("enough"));
  await expect(generator.searchBeams([{ input: inputOf(0, 4), beams: 2 }], { signal })).rejects.toMatchObject({
    code: "aborted",
  });
  const refused = (row: Partial<BeamRow>, message: RegExp) =>
    expect(generator.searchBeams([{ input: inputOf(0, 4), beams: 2, ...row }])).rejects.toMatchObject({
      code: "invalid-argument",
      message: expect.stringMatching(message),
    });
  await refused({ beams: 1 }, /row 0: beams: expected an integer from 2 to 32, got 1/);
  await refused({ beams: 33 }, /got 33/);
  await refused({ beams: 2.5 }, /got 2.5/);
  await refused({ maxNewTokens: 0 }, /maxNewTokens: expected an integer of 1 or more, got 0/);
  await refused({ repetitionPenalty: -1 }, /repetitionPenalty: expected a number from 0.01 to 100, got -1/);
  await refused({ input: Int32Array.of() }, /row 0: .*got none/);
  await generator.close();
  await expect(generator.searchBeams([{ input: inputOf(0, 4), beams: 2 }])).rejects.toMatchObject({ code: "closed" });
});

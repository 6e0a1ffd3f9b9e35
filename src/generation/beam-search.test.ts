import fc from "fast-check";
import { expect, test } from "vitest";
import { at } from "../core/at.js";
import { createRandom, hashText } from "../core/random.js";
import { type Candidate, createBeamSearch } from "./beam-search.js";

const END = 0;
const VOCABULARY = 3;

/** Log-probabilities of the next token, a function of what was read. */
function nextTokens(seed: number, ids: readonly number[]): Candidate[] {
  const random = createRandom(seed, hashText(ids.join()));
  const weights = Array.from({ length: VOCABULARY }, () => Math.exp(2 * random.nextNormal()));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights
    .map((weight, id) => ({ id, score: Math.log(weight / sum), logProbability: -id }))
    .sort((left, right) => right.score - left.score);
}

function run(seed: number, options: { readonly beams: number; readonly maxNewTokens: number }) {
  const search = createBeamSearch({ ...options, endId: END });
  let steps = 0;
  while (!search.done) {
    search.advance(search.beams.map(({ ids }) => nextTokens(seed, ids)));
    steps++;
  }
  return { steps, answers: search.answers() };
}

/** All answers with their mean scores. */
function allAnswers(seed: number, maxNewTokens: number, ids: readonly number[] = [], total = 0): [number[], number][] {
  return nextTokens(seed, ids).flatMap(({ id, score }) => {
    const answer = [...ids, id];
    return id === END || answer.length === maxNewTokens
      ? [[answer, (total + score) / answer.length] as [number[], number]]
      : allAnswers(seed, maxNewTokens, answer, total + score);
  });
}

test("with room for all answers all are found, the best first", () => {
  fc.assert(
    fc.property(fc.nat(1e6), (seed) => {
      const expected = allAnswers(seed, 3).sort(([, left], [, right]) => right - left);
      const { answers } = run(seed, { beams: expected.length, maxNewTokens: 3 });
      expect(answers.map(({ ids }) => [...ids])).toEqual(expected.map(([ids]) => ids));
      for (const [index, { score, ids, logProbabilities, finish }] of answers.entries()) {
        expect(score).toBeCloseTo(at(expected, index)[1], 12);
        expect([...logProbabilities].map((value) => -value + 0)).toEqual([...ids]);
        expect(finish).toBe(ids.at(-1) === END ? "end" : "length");
      }
    }),
    { numRuns: 50 },
  );
});

test("every answer is one of all, with its score, and there are as many as beams where so many exist", () => {
  fc.assert(
    fc.property(fc.nat(1e6), fc.integer({ min: 2, max: 4 }), fc.integer({ min: 2, max: 5 }), (seed, beams, longest) => {
      const scores = new Map(allAnswers(seed, longest).map(([ids, score]) => [ids.join(), score]));
      const { answers, steps } = run(seed, { beams, maxNewTokens: longest });
      expect(steps).toBeLessThanOrEqual(longest);
      expect(new Set(answers.map(({ ids }) => ids.join())).size).toBe(answers.length);
      expect(answers.length).toBeLessThanOrEqual(beams);
      for (const { ids, score } of answers) {
        expect(score).toBeCloseTo(scores.get(ids.join()) ?? Number.NaN, 12);
      }
      expect(answers.map(({ score }) => score)).toEqual(
        answers.map(({ score }) => score).toSorted((left, right) => right - left),
      );
    }),
    { numRuns: 100 },
  );
});

test("it is over as soon as no followed beam has a better mean than the worst answer", () => {
  const search = createBeamSearch({ beams: 2, endId: END, maxNewTokens: 10 });
  const propose = (...scores: readonly [number, number][]): Candidate[] =>
    scores.map(([id, score]) => ({ id, score, logProbability: score }));
  search.advance([propose([END, -0.1], [1, -1], [2, -2], [3, -4]), propose()]);
  expect(search.beams.map(({ ids }) => ids)).toEqual([[1], [2]]);
  expect(search.done).toBe(false);
  // An end that is not among the best two is no answer.
  search.advance([propose([4, -1], [5, -1.5], [END, -2], [6, -3]), propose([7, -3], [END, -3.1], [8, -4], [9, -4])]);
  expect(search.answers().map(({ ids }) => [...ids])).toEqual([[END]]);
  expect(search.beams.map(({ ids, parent }) => [ids, parent])).toEqual([
    [[1, 4], 0],
    [[1, 5], 0],
  ]);
  search.advance([propose([END, -0.4], [4, -9], [5, -9], [6, -9]), propose([4, -9], [5, -9], [6, -9], [7, -9])]);
  expect(search.done).toBe(true);
  expect(search.answers().map(({ ids, score }) => [[...ids], score])).toEqual([
    [[END], -0.1],
    [[1, 4, END], (-1 - 1 - 0.4) / 3],
  ]);
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { at } from "../core/at.js";
import { createRandom } from "../core/random.js";
import { type CandidateScores, crossFit, drawHalves } from "./cross-fit.js";

test("halves differ by at most one instance, and by seed and stream", () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 300 }), fc.nat(1000), (instances, seed) => {
      const halves = drawHalves(instances, { seed });
      const first = halves.filter(Boolean).length;
      expect(halves).toHaveLength(instances);
      expect(first).toBe(Math.ceil(instances / 2));
      expect(drawHalves(instances, { seed })).toEqual(halves);
    }),
  );
  const halves = drawHalves(200, { seed: 1 });
  expect(drawHalves(200, { seed: 2 })).not.toEqual(halves);
  expect(drawHalves(200, { seed: 1, stream: 1 })).not.toEqual(halves);
});

test("an instance lies in either half equally often", () => {
  const times = 2000;
  const counts = [0, 0, 0, 0, 0, 0];
  for (let seed = 0; seed < times; seed++) {
    drawHalves(6, { seed }).forEach((isFirst, index) => {
      counts[index] = at(counts, index) + (isFirst ? 1 : 0);
    });
  }
  for (const count of counts) {
    expect(Math.abs(count - times / 2)).toBeLessThan(4 * Math.sqrt(times / 4));
  }
});

/** The definition, spelled out: for each instance, the candidate that is best on the instances of the other half. */
function slowCrossFit(tasks: readonly CandidateScores[]): number[][] {
  const candidates = at(tasks, 0).values.map((_, candidate) => candidate);
  return tasks.map(({ values, inFirstHalf }) =>
    inFirstHalf.map((half, instance) => {
      const scores = candidates.map((candidate) => {
        const means = tasks.map((task) => {
          const others = at(task.values, candidate).filter((_, index) => task.inFirstHalf[index] !== half);
          return others.reduce((sum, value) => sum + value, 0) / others.length;
        });
        return means.reduce((sum, value) => sum + value, 0);
      });
      return at(at(values, scores.indexOf(Math.max(...scores))), instance);
    }),
  );
}

const task = (candidates: number) =>
  fc.integer({ min: 2, max: 12 }).chain((instances) =>
    fc.record({
      values: fc.array(fc.array(fc.constantFrom(0, 0.5, 1), { minLength: instances, maxLength: instances }), {
        minLength: candidates,
        maxLength: candidates,
      }),
      inFirstHalf: fc.nat(1000).map((seed) => drawHalves(instances, { seed })),
    }),
  );

test("each half gets the candidate that is best on the other, over all tasks given", () => {
  const tasks = fc
    .integer({ min: 1, max: 5 })
    .chain((candidates) => fc.array(task(candidates), { minLength: 1, maxLength: 4 }));
  fc.assert(
    fc.property(tasks, (given) => {
      expect(crossFit(given).values).toEqual(slowCrossFit(given));
    }),
  );
});

test("scores of one half do not change what is chosen for it", () => {
  fc.assert(
    fc.property(task(4), fc.nat(3), (given, favoured) => {
      const spoiled = given.values.map((row, candidate) =>
        row.map((value, instance) => (given.inFirstHalf[instance] ? (candidate === favoured ? 1 : 0) : value)),
      );
      // The one chosen on the second half, which answers the first.
      expect(crossFit([{ ...given, values: spoiled }]).chosen[1]).toBe(crossFit([given]).chosen[1]);
    }),
  );
});

test("equal candidates: chosen on the scored rows they gain from noise, cross-fitted they do not", () => {
  const random = createRandom(3);
  const instances = 100;
  const gains = Array.from({ length: 300 }, (_, index) => {
    const values = Array.from({ length: 8 }, () =>
      Array.from({ length: instances }, () => (random.nextFloat() < 0.5 ? 1 : 0)),
    );
    const means = values.map((row) => row.reduce<number>((sum, value) => sum + value, 0) / instances);
    const average = means.reduce((sum, value) => sum + value, 0) / means.length;
    const fitted = crossFit([{ values, inFirstHalf: drawHalves(instances, { seed: 4, stream: index }) }]).values.flat();
    return {
      naive: Math.max(...means) - average,
      fitted: fitted.reduce((sum, value) => sum + value, 0) / instances - average,
    };
  });
  const summary = (values: readonly number[]) => {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    return { mean, standardError: Math.sqrt(squares / (values.length - 1) / values.length) };
  };
  const naive = summary(gains.map((gain) => gain.naive));
  const fitted = summary(gains.map((gain) => gain.fitted));
  expect(naive.mean).toBeGreaterThan(0.04);
  expect(naive.mean).toBeGreaterThan(10 * naive.standardError);
  expect(Math.abs(fitted.mean)).toBeLessThan(3 * fitted.standardError);
});

test("a candidate that is truly better is found", () => {
  const values = [Array.from({ length: 40 }, () => 0), Array.from({ length: 40 }, () => 1)];
  const { chosen, values: found } = crossFit([{ values, inFirstHalf: drawHalves(40, { seed: 0 }) }]);
  expect(chosen).toEqual([1, 1]);
  expect(found).toEqual([values[1]]);
});

test("too few instances, missing candidates and missing halves are refused", () => {
  expect(() => drawHalves(1, { seed: 0 })).toThrow(/two instances or more, one for each half, got 1/);
  expect(() => crossFit([])).toThrow(/at least one task/);
  expect(() => crossFit([{ values: [], inFirstHalf: [true, false] }])).toThrow(
    /task 0: expected scores of 1 candidates/,
  );
  expect(() => crossFit([{ values: [[1, 2, 3]], inFirstHalf: [true, false] }])).toThrow(
    /2 instances of two halves, got 3/,
  );
  expect(() => crossFit([{ values: [[1, 2]], inFirstHalf: [true, true] }])).toThrow(/two halves/);
  const whole = { values: [[1, 2]], inFirstHalf: [true, false] };
  expect(() =>
    crossFit([
      whole,
      {
        ...whole,
        values: [
          [1, 2],
          [1, 2],
        ],
      },
    ]),
  ).toThrow(/task 1: expected scores of 1 candidates/);
});

import { expect, test } from "vitest";
import { createRandom } from "../core/random.js";
import { instanceMeans, meanInterval, pairedInterval, percentileInterval, resampledMeans } from "./bootstrap.js";

const REPETITIONS = 300;

/** Share of repetitions whose interval holds 0, the truth. */
function coverage(interval: (repetition: number) => { readonly low: number; readonly high: number }): number {
  let covered = 0;
  for (let repetition = 0; repetition < REPETITIONS; repetition++) {
    const { low, high } = interval(repetition);
    covered += low <= 0 && 0 <= high ? 1 : 0;
  }
  return covered / REPETITIONS;
}

/** Values of 60 instances, whose 4 templates share most of their noise; not normal. */
function templateValues(repetition: number): number[][] {
  const random = createRandom(50, repetition);
  return Array.from({ length: 60 }, () => {
    const own = -Math.log(1 - random.nextFloat()) - 1;
    return Array.from({ length: 4 }, () => own + 0.3 * random.nextNormal());
  });
}

test("95 % intervals over instances with all their templates hold the truth in about 95 % of cases", () => {
  const clustered = coverage((repetition) =>
    meanInterval([instanceMeans(templateValues(repetition))], { resamples: 400 }),
  );
  expect(clustered).toBeGreaterThanOrEqual(0.92);
  expect(clustered).toBeLessThanOrEqual(0.98);
  // Templates as if they were instances: what must not be done.
  const naive = coverage((repetition) => meanInterval([templateValues(repetition).flat()], { resamples: 100 }));
  expect(naive).toBeLessThan(0.8);
});

/** Coverage of the difference of two systems on the same instances, 3 seeds each. */
function pairedCoverage(spread: { readonly instances: number; readonly noise: number }): number {
  return coverage((repetition) => {
    const random = createRandom(51, repetition);
    const difficulty = Array.from({ length: 50 }, () => 3 * random.nextNormal());
    const system = (): number[][] => {
      const own = difficulty.map((shared) => shared + spread.instances * random.nextNormal());
      return Array.from({ length: 3 }, () => {
        const seed = 0.05 * random.nextNormal();
        return own.map((value) => value + seed + spread.noise * random.nextNormal());
      });
    };
    return pairedInterval({ first: system(), second: system() }, { resamples: 400 });
  });
}

test("paired intervals over seeds and instances hold the truth in about 95 % of cases, or more where all is noise", () => {
  const share = pairedCoverage({ instances: 1, noise: 0.5 });
  expect(share).toBeGreaterThanOrEqual(0.92);
  expect(share).toBeLessThanOrEqual(0.98);
  expect(pairedCoverage({ instances: 0, noise: 1 })).toBeGreaterThanOrEqual(0.95);
});

test("the mean, its percentiles and its standard error", () => {
  const values = Array.from({ length: 400 }, (_, index) => (index % 4 === 0 ? 1 : 0));
  const { mean, low, high, standardError } = meanInterval([values]);
  expect(mean).toBe(0.25);
  expect(standardError).toBeCloseTo(Math.sqrt((0.25 * 0.75 * 400) / 399 / 400), 12);
  // The normal approximation holds here.
  expect(low).toBeCloseTo(0.25 - 1.96 * standardError, 2);
  expect(high).toBeCloseTo(0.25 + 1.96 * standardError, 2);
  const narrow = meanInterval([values], { level: 0.5 });
  expect(narrow.low).toBeGreaterThan(low);
  expect(narrow.high).toBeLessThan(high);
});

test("equal seeds give equal intervals, others differ", () => {
  const values = [Array.from({ length: 97 }, (_, index) => Math.sin(index))];
  expect(meanInterval(values, { resamples: 200, seed: 4 })).toEqual(meanInterval(values, { resamples: 200, seed: 4 }));
  expect(meanInterval(values, { resamples: 200, seed: 5 })).not.toEqual(
    meanInterval(values, { resamples: 200, seed: 4 }),
  );
});

test("pairing takes out what instances have in common", () => {
  const random = createRandom(9);
  const first = Array.from({ length: 200 }, () => 10 * random.nextNormal());
  const second = first.map((value) => value - 0.2 + 0.1 * random.nextNormal());
  const difference = pairedInterval({ first: [first], second: [second] });
  expect(difference.resolved).toBe(true);
  expect(difference.mean).toBeCloseTo(0.2, 1);
  expect(difference.high - difference.low).toBeLessThan(0.05);
  const reverse = pairedInterval({ first: [second], second: [first] });
  expect(reverse.mean).toBeCloseTo(-difference.mean, 12);
  expect(reverse.resolved).toBe(true);
  expect(pairedInterval({ first: [first], second: [first] })).toMatchObject({
    mean: 0,
    low: 0,
    high: 0,
    resolved: false,
  });
});

test("seeds that differ widen the interval; the standard error is over instances alone", () => {
  const instances = Array.from({ length: 50 }, (_, index) => index % 2);
  const equal = meanInterval([instances, instances, instances]);
  const shifted = meanInterval([-0.3, 0, 0.3].map((shift) => instances.map((value) => value + shift)));
  expect(shifted.mean).toBeCloseTo(equal.mean, 12);
  expect(shifted.high - shifted.low).toBeGreaterThan(1.3 * (equal.high - equal.low));
  expect(shifted.standardError).toBeCloseTo(equal.standardError, 12);
});

test("instances with different numbers of templates", () => {
  expect(instanceMeans([[1, 0], [1], [0, 0, 1]])).toEqual([0.5, 1, 1 / 3]);
  expect(() => instanceMeans([[1], []])).toThrow(/instance 1: expected values/);
});

test("10,000 resamples of 3 seeds × 320 instances take well below a second of a processor", () => {
  const values = Array.from({ length: 3 }, (_, seed) => Array.from({ length: 320 }, (_, index) => (index * seed) % 2));
  const before = process.cpuUsage();
  meanInterval(values);
  // Of this process: what else the machine does must not matter.
  expect(process.cpuUsage(before).user / 1e6).toBeLessThan(2);
});

test("bad values and options are refused", () => {
  expect(() => meanInterval([])).toThrow(/got 0 seeds of no instances/);
  expect(() => meanInterval([[1]])).toThrow(/two instances or more/);
  expect(() =>
    meanInterval([
      [1, 2],
      [1, 2, 3],
    ]),
  ).toThrow(/got 2 seeds of 2, 3 instances/);
  expect(() => meanInterval([[1, Number.NaN]])).toThrow(/expected finite values, got NaN/);
  expect(() => meanInterval([[1, 2]], { resamples: 0 })).toThrow(/resamples of 1 or more/);
  expect(() => meanInterval([[1, 2]], { level: 1 })).toThrow(/level between 0 and 1/);
  expect(() => pairedInterval({ first: [[1, 2]], second: [[1, 2, 3]] })).toThrow(/got 1 × 2 and 1 × 3/);
});

test("systems share the draws of a stream: what two differ by in a resample is the resample of their difference", () => {
  const random = createRandom(12);
  const system = () => Array.from({ length: 2 }, () => Array.from({ length: 30 }, () => random.nextFloat()));
  const [first, second] = [system(), system()];
  const difference = first.map((row, seed) => row.map((value, instance) => value - (second[seed]?.[instance] ?? 0)));
  const [one, other, both] = resampledMeans([first, second, difference], { resamples: 50, stream: 3 });
  one?.forEach((value, resample) => {
    expect(value - (other?.[resample] ?? 0)).toBeCloseTo(both?.[resample] ?? Number.NaN, 12);
  });
  expect(resampledMeans([first], { resamples: 50, stream: 3 })[0]).toEqual(one);
  expect(resampledMeans([first], { resamples: 50, stream: 4 })[0]).not.toEqual(one);
});

test("streams draw the same training seeds", () => {
  // Seeds that differ, instances that do not: a resample shows which seeds were drawn.
  const values = [
    [
      [0, 0, 0],
      [1, 1, 1],
      [5, 5, 5],
    ],
  ];
  const [first] = resampledMeans(values, { resamples: 40, stream: 1 });
  expect(resampledMeans(values, { resamples: 40, stream: 2 })[0]).toEqual(first);
  expect(new Set(first).size).toBeGreaterThan(3);
  expect(resampledMeans(values, { resamples: 40, seed: 1 })[0]).not.toEqual(first);
});

/** Coverage of the mean over three tasks of different size, whose means differ; resampled within each, or as if they were one set. */
function tasksCoverage(stratified: boolean): number {
  return coverage((repetition) => {
    const random = createRandom(52, repetition);
    const tasks = [12, 40, 80].map((instances, task) =>
      Array.from({ length: instances }, () => task - 1 + random.nextNormal()),
    );
    if (!stratified) {
      return meanInterval([tasks.flat()], { resamples: 100 });
    }
    const means = tasks.map(
      (values, task) => resampledMeans([[values]], { resamples: 250, stream: task + 1 })[0] ?? new Float64Array(),
    );
    const average = new Float64Array(250).map(
      (_, resample) => means.reduce((sum, values) => sum + (values[resample] ?? 0), 0) / 3,
    );
    return percentileInterval(average);
  });
}

test("a mean over tasks is resampled within each task: 95 % intervals hold the truth in about 95 % of cases", () => {
  const share = tasksCoverage(true);
  expect(share).toBeGreaterThanOrEqual(0.92);
  expect(share).toBeLessThanOrEqual(0.98);
  // A large task counts more than a small one where all rows are one set: that is another figure.
  expect(tasksCoverage(false)).toBeLessThan(0.5);
});

test("systems of different sizes, and streams below 1, are refused", () => {
  expect(() => resampledMeans([])).toThrow(/got 0 seeds/);
  expect(() => resampledMeans([[[1, 2]], [[1, 2, 3]]])).toThrow(
    /expected 1 seeds × 2 instances of every system, got 1 × 3 of system 1/,
  );
  expect(() => resampledMeans([[[1, 2]]], { stream: 0 })).toThrow(/stream of 1 or more, got 0/);
  expect(() => percentileInterval(Float64Array.of(1), 0)).toThrow(/level between 0 and 1, got 0/);
});

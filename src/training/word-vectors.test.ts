import { expect, test } from "vitest";
import { at } from "../core/at.js";
import { createRandom } from "../core/random.js";
import { pointwiseMutualInformation } from "../mixtures/cooccurrence.js";
import { wordVectors } from "./word-vectors.js";

/** Texts of two subjects of ten pieces each; piece 20 stands nowhere. */
function twoSubjects(): number[][] {
  const random = createRandom(3);
  return Array.from({ length: 200 }, (_, text) =>
    Array.from({ length: 12 }, () => 10 * (text % 2) + random.nextInteger(10)),
  );
}
const information = pointwiseMutualInformation(twoSubjects(), { vocabularySize: 21, window: 3 });
const { data, shape } = wordVectors(information, { width: 4, seed: 1 });
const row = (piece: number): Float32Array => data.subarray(4 * piece, 4 * piece + 4);
const likeness = (left: number, right: number): number =>
  row(left).reduce((sum, value, index) => sum + value * at(row(right), index), 0) / 4;

test("pieces of one subject are alike, those of two are not", () => {
  expect(shape).toEqual([21, 4]);
  const same: number[] = [];
  const other: number[] = [];
  for (let left = 0; left < 20; left++) {
    for (let right = 0; right < left; right++) {
      (left < 10 === right < 10 ? same : other).push(likeness(left, right));
    }
  }
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  expect(mean(same)).toBeGreaterThan(mean(other) + 0.5);
});

test("every row has root mean square 1, also that of a piece that stands nowhere", () => {
  for (let piece = 0; piece < 21; piece++) {
    expect(likeness(piece, piece)).toBeCloseTo(1, 5);
  }
});

test("one seed gives one set of vectors", () => {
  expect(wordVectors(information, { width: 4, seed: 1 }).data).toEqual(data);
});

test("the subspace is that of the leading eigenvectors", () => {
  // A block matrix whose eigenvectors are known: blocks of ones of sizes 3, 2 and 1 with weights 3, 2 and 1.
  const blocks = [
    { from: 0, size: 3, weight: 3 },
    { from: 3, size: 2, weight: 2 },
    { from: 5, size: 1, weight: 1 },
  ];
  const blockOf = (piece: number) =>
    at(
      blocks,
      blocks.findIndex(({ from, size }) => piece < from + size),
    );
  const columns: number[] = [];
  const values: number[] = [];
  const rowStarts = [0];
  for (let piece = 0; piece < 6; piece++) {
    const { from, size, weight } = blockOf(piece);
    for (let other = from; other < from + size; other++) {
      columns.push(other);
      values.push(weight);
    }
    rowStarts.push(columns.length);
  }
  const vectors = wordVectors(
    {
      size: 6,
      rowStarts: Uint32Array.from(rowStarts),
      columns: Uint16Array.from(columns),
      values: Float32Array.from(values),
    },
    { width: 3, seed: 5 },
  );
  const vector = (piece: number) => [...vectors.data.subarray(3 * piece, 3 * piece + 3)];
  for (let piece = 0; piece < 6; piece++) {
    for (let other = 0; other < 6; other++) {
      const same = blockOf(piece) === blockOf(other);
      const distance = Math.hypot(...vector(piece).map((value, index) => value - at(vector(other), index)));
      expect(distance < 1e-3).toBe(same);
    }
  }
});

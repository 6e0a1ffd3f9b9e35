import fc from "fast-check";
import { expect, test } from "vitest";
import { at } from "../core/at.js";
import { pointwiseMutualInformation, type SparseMatrix } from "./cooccurrence.js";

function dense({ size, rowStarts, columns, values }: SparseMatrix): number[][] {
  return Array.from({ length: size }, (_, row) => {
    const full = Array.from({ length: size }, () => 0);
    for (let entry = at(rowStarts, row); entry < at(rowStarts, row + 1); entry++) {
      full[at(columns, entry)] = at(values, entry);
    }
    return full;
  });
}

/** From the formula: every ordered pair of positions, then every cell. */
function oracle(texts: readonly (readonly number[])[], size: number, window: number): number[][] {
  const counts = Array.from({ length: size }, () => Array.from({ length: size }, () => 0));
  for (const text of texts) {
    for (const [place, piece] of text.entries()) {
      for (const [otherPlace, other] of text.entries()) {
        const distance = Math.abs(place - otherPlace);
        if (distance > 0 && distance <= window) {
          at(counts, piece)[other] = at(at(counts, piece), other) + 1 / distance;
        }
      }
    }
  }
  const sums = counts.map((row) => row.reduce((sum, one) => sum + one, 0));
  const share = (values: readonly number[]) => {
    const total = values.reduce((sum, one) => sum + one, 0);
    return values.map((one) => one / total);
  };
  const plain = share(sums);
  const smooth = share(sums.map((sum) => sum ** 0.75));
  const total = sums.reduce((sum, one) => sum + one, 0);
  return counts.map((row, i) =>
    row.map((count, j) => {
      const expected = Math.sqrt(at(plain, i) * at(smooth, j) * at(plain, j) * at(smooth, i));
      return count === 0 ? 0 : Math.max(0, Math.log(count / total / expected));
    }),
  );
}

test("equals the formula, and is symmetric", () => {
  const size = 6;
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.nat(size - 1), { maxLength: 20 }), { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 4 }),
      (texts, window) => {
        const found = dense(pointwiseMutualInformation(texts, { vocabularySize: size, window }));
        const expected = oracle(texts, size, window);
        for (let row = 0; row < size; row++) {
          for (let column = 0; column < size; column++) {
            expect(at(at(found, row), column)).toBeCloseTo(at(at(expected, row), column), 4);
            expect(at(at(found, row), column)).toBe(at(at(found, column), row));
          }
        }
      },
    ),
  );
});

test("no pair spans two texts", () => {
  const { values } = pointwiseMutualInformation([[0], [1], [2]], { vocabularySize: 3, window: 2 });
  expect(values).toHaveLength(0);
});

test("ids outside the vocabulary and vocabularies that are too large are refused", () => {
  expect(() => pointwiseMutualInformation([[0, 3]], { vocabularySize: 3, window: 2 })).toThrow("below 3, got 3");
  expect(() => pointwiseMutualInformation([[0, -1]], { vocabularySize: 3, window: 2 })).toThrow("got -1");
  expect(() => pointwiseMutualInformation([], { vocabularySize: 16_385, window: 2 })).toThrow("at most 16384 pieces");
});

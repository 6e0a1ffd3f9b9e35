import fc from "fast-check";
import { expect, test } from "vitest";
import { at } from "../core/at.js";
import { createRandom } from "../core/random.js";
import { adjust, adjustmentTensors, fitAdjustment, NO_ADJUSTMENT, parseAdjustment } from "./adjustment.js";

/** Vectors that lean one way, with columns of very different spread that depend on each other. */
function leaning(count: number, dimension: number, seed: number): Float32Array {
  const random = createRandom(seed);
  return Float32Array.from({ length: count * dimension }, (_, place) => {
    const column = place % dimension;
    return 5 + random.nextNormal() * 2 ** -column + (column === 1 ? 3 * random.nextNormal() : 0);
  });
}

const dot = (vectors: Float32Array, dimension: number, left: number, right: number): number =>
  vectors
    .subarray(left * dimension, (left + 1) * dimension)
    .reduce((sum, value, column) => sum + value * at(vectors, right * dimension + column), 0);

test("centred vectors have mean 0, and nothing else is changed", async () => {
  const vectors = leaning(50, 4, 1);
  const adjustment = await fitAdjustment("centred", { vectors, dimension: 4 });
  const centred = adjust(adjustment, { vectors, dimension: 4 });
  for (let column = 0; column < 4; column++) {
    const values = centred.filter((_, place) => place % 4 === column);
    expect(values.reduce((sum, value) => sum + value, 0) / 50).toBeCloseTo(0, 5);
  }
  expect(at(centred, 4) - at(centred, 0)).toBeCloseTo(at(vectors, 4) - at(vectors, 0), 5);
  expect(adjust(NO_ADJUSTMENT, { vectors, dimension: 4 })).toEqual(vectors);
});

test("many whitened vectors have nearly the identity as covariance", async () => {
  const [count, dimension] = [4000, 3];
  const vectors = leaning(count, dimension, 2);
  const white = adjust(await fitAdjustment("whitened", { vectors, dimension }), { vectors, dimension });
  for (let left = 0; left < dimension; left++) {
    for (let right = 0; right < dimension; right++) {
      let sum = 0;
      for (let row = 0; row < count; row++) {
        sum += at(white, row * dimension + left) * at(white, row * dimension + right);
      }
      // Shrinking leaves the narrowest column a little below 1.
      expect(Math.abs(sum / count - (left === right ? 1 : 0))).toBeLessThan(0.1);
    }
  }
});

test("dot products of whitened vectors are those of the inverse shrunken covariance", async () => {
  // Of scikit-learn 1.9.1: LedoitWolf().fit(X) (shrinkage_ 0.1628753), and (x - location_)·precision_·(y - location_).
  const rows = [-5, -9, 1, -3, -7, 0, -1, -2, 2, 0, 1, 1, 2, 3, 0, 3, 8, 2, 4, 6, 1, 6, 11, 0];
  const vectors = Float32Array.from(rows);
  const white = adjust(await fitAdjustment("whitened", { vectors, dimension: 3 }), { vectors, dimension: 3 });
  for (const { pair, product } of [
    { pair: [0, 0], product: 2.882586 },
    { pair: [0, 1], product: 2.1258 },
    { pair: [1, 2], product: 0.435625 },
    { pair: [2, 4], product: -0.422681 },
    { pair: [5, 7], product: 1.207093 },
    { pair: [7, 7], product: 2.649288 },
  ] as const) {
    const [left, right] = pair;
    expect(dot(white, 3, left, right)).toBeCloseTo(product, 4);
  }
});

test("fewer vectors than dimensions can be whitened; equal ones cannot", async () => {
  const vectors = leaning(3, 16, 3);
  const white = adjust(await fitAdjustment("whitened", { vectors, dimension: 16 }), { vectors, dimension: 16 });
  expect(white.every(Number.isFinite)).toBe(true);
  const equal = new Float32Array(32).fill(0.5);
  await expect(fitAdjustment("whitened", { vectors: equal, dimension: 16 })).rejects.toThrow(/vectors that differ/);
  expect(
    adjust(await fitAdjustment("centred", { vectors: equal, dimension: 16 }), { vectors: equal, dimension: 16 }),
  ).toEqual(new Float32Array(32));
});

test("stored and read again, an adjustment is the same one", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.constantFrom("none" as const, "centred" as const, "whitened" as const),
      async (seed, kind) => {
        const vectors = leaning(6, 5, seed % 2 ** 32);
        const adjustment = await fitAdjustment(kind, { vectors, dimension: 5 });
        const again = await parseAdjustment(kind, adjustmentTensors(adjustment));
        expect(again).toEqual(adjustment);
      },
    ),
    { numRuns: 20 },
  );
});

test("what does not fit is refused", async () => {
  const vectors = leaning(6, 4, 1);
  const centred = await fitAdjustment("centred", { vectors, dimension: 4 });
  expect(() => adjust(centred, { vectors, dimension: 3 })).toThrow(/expected vectors of 4 numbers, got 3/);
  await expect(fitAdjustment("centred", { vectors, dimension: 5 })).rejects.toThrow(/expected vectors of 5/);
  await expect(fitAdjustment("centred", { vectors: new Float32Array(), dimension: 5 })).rejects.toThrow(
    /got 0 numbers/,
  );
  const broken = vectors.slice();
  broken[7] = Number.NaN;
  await expect(fitAdjustment("whitened", { vectors: broken, dimension: 4 })).rejects.toThrow(/got a NaN/);
  await expect(parseAdjustment("whitened", adjustmentTensors(centred))).rejects.toThrow(
    /expected float32 tensors mean \[d\] and factor \[d, d\], got mean float32 \[4\]/,
  );
  await expect(parseAdjustment("centred", new Map())).rejects.toThrow(/got none/);
});

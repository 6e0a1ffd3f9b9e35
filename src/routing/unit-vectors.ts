import { CadreError } from "../core/errors.js";

/** How far a length may lie from 1: float32 rounding stays far below. */
const TOLERANCE = 1e-3;

/**
 * Makes vectors of length 1 in place; a vector of zeros stays as it is.
 * @param vectors `[n, dimension]`
 * @throws CadreError `non-finite` naming the first vector that has a NaN or an infinity.
 */
export function normalizeVectors(vectors: Float32Array, dimension: number): void {
  for (let start = 0; start < vectors.length; start += dimension) {
    const length = lengthOf(vectors, start, dimension);
    if (!Number.isFinite(length)) throw nonFinite("vector", start / dimension);
    if (length === 0) continue;
    for (let place = start; place < start + dimension; place++) {
      vectors[place] = (vectors[place] ?? 0) / length;
    }
  }
}

/**
 * Checks vectors of length 1 or 0 and returns how many there are.
 * @throws CadreError `invalid-argument` for a wrong size or length, `non-finite`, both naming the first wrong one.
 */
export function expectUnitVectors(
  vectors: Float32Array,
  { dimension, what }: { readonly dimension: number; readonly what: string },
): number {
  const count = vectors.length / dimension;
  if (!Number.isInteger(dimension) || dimension < 1 || !Number.isInteger(count)) {
    throw new CadreError(
      "invalid-argument",
      `search: expected a multiple of ${dimension} numbers (${what} by ${what}), got ${vectors.length}`,
    );
  }
  for (let index = 0; index < count; index++) {
    const length = lengthOf(vectors, index * dimension, dimension);
    if (!Number.isFinite(length)) throw nonFinite(what, index);
    if (length !== 0 && Math.abs(length - 1) > TOLERANCE) {
      throw new CadreError(
        "invalid-argument",
        `search: ${what} ${index}: expected a vector of length 1, got ${length}; embed with an Embedder, which normalises`,
        { details: { index, length } },
      );
    }
  }
  return count;
}

function lengthOf(vectors: Float32Array, start: number, dimension: number): number {
  let squares = 0;
  for (let place = start; place < start + dimension; place++) {
    const value = vectors[place] ?? Number.NaN;
    squares += value * value;
  }
  return Math.sqrt(squares);
}

function nonFinite(what: string, index: number): CadreError {
  return new CadreError("non-finite", `search: ${what} ${index}: expected finite numbers, got a NaN or an infinity`, {
    details: { index },
  });
}

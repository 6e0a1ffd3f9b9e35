import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import { sha256 } from "../core/hash.js";
import { hasDType, type Tensor } from "../tensors/tensor.js";

/** See {@link Adjustment}. */
export type AdjustmentKind = "none" | "centred" | "whitened";

/** Least share of the mean variance in the covariance, so that it can be inverted. */
const LEAST_SHRINKAGE = 1e-3;

/**
 * Moves embeddings so that their angles tell texts apart. Mean-pooled states of a language model point nearly all one way; `centred` takes
 * their mean away, `whitened` also brings every direction to variance 1.
 */
export interface Adjustment {
  readonly kind: AdjustmentKind;
  /** `[d]`; absent for `none`. */
  readonly mean?: Float32Array;
  /** `[d, d]` for `whitened`: the lower triangular L of the covariance L·Lᵀ. */
  readonly factor?: Float32Array;
  /** SHA-256 of these numbers; null for `none`. */
  readonly hash: string | null;
}

/** Leaves embeddings as they are. */
export const NO_ADJUSTMENT: Adjustment = { kind: "none", hash: null };

/**
 * Measures an adjustment on embeddings, e.g. those of all training inputs of a library.
 *
 * Whitening divides by the Cholesky factor of the covariance: every other square root of it gives the same angles. The covariance is drawn
 * towards a multiple of the identity by the share of Ledoit and Wolf ("A well-conditioned estimator for large-dimensional covariance matrices",
 * 2004), as there may be fewer texts than dimensions; at least 0.001.
 * @param vectors `[n, dimension]`, pooled, not normalised
 * @throws CadreError `invalid-argument` without vectors, or to whiten vectors that are all equal; `non-finite`.
 */
export async function fitAdjustment(
  kind: AdjustmentKind,
  { vectors, dimension }: { readonly vectors: Float32Array; readonly dimension: number },
): Promise<Adjustment> {
  if (kind === "none") return NO_ADJUSTMENT;
  const count = vectors.length / dimension;
  if (count < 1 || !Number.isInteger(count)) {
    throw new CadreError(
      "invalid-argument",
      `adjustment: expected vectors of ${dimension} numbers, got ${vectors.length} numbers`,
    );
  }
  if (vectors.some((value) => !Number.isFinite(value))) {
    throw new CadreError("non-finite", "adjustment: expected finite vectors, got a NaN or an infinity");
  }
  const mean = meanOf(vectors, dimension);
  const factor = kind === "whitened" ? covarianceFactor({ vectors, dimension, mean }) : undefined;
  return await adjustmentOf(kind, Float32Array.from(mean), factor);
}

/**
 * Applies an adjustment to `[n, dimension]`; the result is new.
 * @throws CadreError `mismatch` for another dimension than it was measured in.
 */
export function adjust(
  { mean, factor }: Adjustment,
  { vectors, dimension }: { readonly vectors: Float32Array; readonly dimension: number },
): Float32Array {
  const result = vectors.slice();
  if (mean === undefined) return result;
  if (mean.length !== dimension) {
    throw new CadreError("mismatch", `adjustment: expected vectors of ${mean.length} numbers, got ${dimension}`);
  }
  for (let start = 0; start < result.length; start += dimension) {
    const row = result.subarray(start, start + dimension);
    for (let column = 0; column < dimension; column++) {
      row[column] = at(row, column) - at(mean, column);
    }
    if (factor !== undefined) solveLower(factor, row);
  }
  return result;
}

/** The numbers of an adjustment as tensors, to be stored: `mean` and `factor`, as far as it has them. */
export function adjustmentTensors({ mean, factor }: Adjustment): Map<string, Tensor> {
  const tensors = new Map<string, Tensor>();
  if (mean !== undefined) tensors.set("mean", { dtype: "float32", shape: [mean.length], data: mean });
  if (mean !== undefined && factor !== undefined) {
    tensors.set("factor", { dtype: "float32", shape: [mean.length, mean.length], data: factor });
  }
  return tensors;
}

/** What {@link adjustmentTensors} made. @throws CadreError `invalid-file` where the tensors are not those of the kind. */
export async function parseAdjustment(kind: AdjustmentKind, tensors: ReadonlyMap<string, Tensor>): Promise<Adjustment> {
  if (kind === "none") return NO_ADJUSTMENT;
  const mean = floatsOf(tensors.get("mean"), 1);
  const factor = kind === "whitened" ? floatsOf(tensors.get("factor"), 2) : undefined;
  if (mean === undefined || (kind === "whitened" && factor?.length !== mean.length ** 2)) {
    throw new CadreError(
      "invalid-file",
      `adjustment: expected float32 tensors mean [d]${kind === "whitened" ? " and factor [d, d]" : ""}, got ${describe(tensors)}`,
    );
  }
  return await adjustmentOf(kind, mean, factor);
}

async function adjustmentOf(
  kind: AdjustmentKind,
  mean: Float32Array,
  factor: Float32Array | undefined,
): Promise<Adjustment> {
  const numbers = new Float32Array(mean.length + (factor?.length ?? 0));
  numbers.set(mean);
  numbers.set(factor ?? [], mean.length);
  return {
    kind,
    mean,
    ...(factor === undefined ? {} : { factor }),
    hash: await sha256(new Uint8Array(numbers.buffer)),
  };
}

function meanOf(vectors: Float32Array, dimension: number): Float64Array {
  const mean = new Float64Array(dimension);
  const count = vectors.length / dimension;
  vectors.forEach((value, place) => {
    mean[place % dimension] = at(mean, place % dimension) + value / count;
  });
  return mean;
}

/** The Cholesky factor of the shrunken covariance, `[d, d]`. */
function covarianceFactor({
  vectors,
  dimension,
  mean,
}: {
  readonly vectors: Float32Array;
  readonly dimension: number;
  readonly mean: Float64Array;
}): Float32Array {
  const count = vectors.length / dimension;
  const covariance = new Float64Array(dimension * dimension);
  const centred = new Float64Array(dimension);
  let fourthPowers = 0;
  for (let start = 0; start < vectors.length; start += dimension) {
    let squares = 0;
    for (let column = 0; column < dimension; column++) {
      const value = at(vectors, start + column) - at(mean, column);
      centred[column] = value;
      squares += value * value;
    }
    fourthPowers += squares * squares;
    // The hot loop, n·d²/2 products: plain indexing with a default costs nothing, a checked call would.
    for (let row = 0; row < dimension; row++) {
      const factor = (centred[row] ?? 0) / count;
      const offset = row * dimension;
      for (let column = 0; column <= row; column++) {
        covariance[offset + column] = (covariance[offset + column] ?? 0) + factor * (centred[column] ?? 0);
      }
    }
  }
  let trace = 0;
  let squaredNorm = 0;
  for (let row = 0; row < dimension; row++) {
    trace += at(covariance, row * dimension + row);
    for (let column = 0; column <= row; column++) {
      squaredNorm += (column === row ? 1 : 2) * at(covariance, row * dimension + column) ** 2;
    }
  }
  const variance = trace / dimension;
  if (!(variance > 0)) {
    throw new CadreError(
      "invalid-argument",
      `adjustment: whitening needs vectors that differ, got ${count} equal ones; centre them or leave them as they are`,
    );
  }
  const distance = squaredNorm - dimension * variance ** 2;
  const error = Math.min(distance, (fourthPowers / count - squaredNorm) / count);
  const shrinkage = Math.max(LEAST_SHRINKAGE, distance > 0 ? error / distance : 0);
  for (let row = 0; row < dimension; row++) {
    for (let column = 0; column <= row; column++) {
      const place = row * dimension + column;
      covariance[place] = (1 - shrinkage) * at(covariance, place) + (row === column ? shrinkage * variance : 0);
    }
  }
  return choleskyFactor(covariance, dimension);
}

/** Lower triangular L with L·Lᵀ = the matrix, of which the lower triangle is read. */
function choleskyFactor(matrix: Float64Array, size: number): Float32Array {
  const factor = new Float64Array(size * size);
  for (let row = 0; row < size; row++) {
    for (let column = 0; column <= row; column++) {
      let sum = at(matrix, row * size + column);
      for (let inner = 0; inner < column; inner++) {
        sum -= (factor[row * size + inner] ?? 0) * (factor[column * size + inner] ?? 0);
      }
      factor[row * size + column] = row === column ? Math.sqrt(sum) : sum / at(factor, column * size + column);
    }
  }
  return Float32Array.from(factor);
}

/** Solves L·x = row in place. */
function solveLower(factor: Float32Array, row: Float32Array): void {
  const size = row.length;
  for (let index = 0; index < size; index++) {
    let sum = at(row, index);
    for (let inner = 0; inner < index; inner++) {
      sum -= (factor[index * size + inner] ?? 0) * (row[inner] ?? 0);
    }
    row[index] = sum / at(factor, index * size + index);
  }
}

function floatsOf(tensor: Tensor | undefined, rank: number): Float32Array | undefined {
  return tensor !== undefined && hasDType(tensor, "float32") && tensor.shape.length === rank ? tensor.data : undefined;
}

function describe(tensors: ReadonlyMap<string, Tensor>): string {
  const list = [...tensors].map(([name, { dtype, shape }]) => `${name} ${dtype} [${shape.join(", ")}]`);
  return list.length === 0 ? "none" : list.join(", ");
}

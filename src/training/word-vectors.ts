import { createRandom, hashText } from "../core/random.js";
import type { SparseMatrix } from "../mixtures/cooccurrence.js";
import type { Tensor } from "../tensors/tensor.js";

/** Passes of the iteration; after 4, mean vectors still told two classes apart by 3 points less than after a full decomposition. */
const PASSES = 10;

/**
 * Word vectors from the pieces that stand near each other: an orthonormal basis of the leading eigenvectors of their mutual information, rows
 * centred and scaled to root mean square 1. Eigenvalues are left out and the basis may be turned: neither changes how alike two rows are.
 * Pieces that stand near nothing get random vectors.
 * @param information `pointwiseMutualInformation` of the texts.
 * @returns `[pieces, width]`
 */
export function wordVectors(
  information: SparseMatrix,
  { width, seed }: { readonly width: number; readonly seed: number },
): Tensor<"float32"> {
  const { size } = information;
  const random = createRandom(seed, hashText("word vectors"));
  let data = Float32Array.from({ length: size * width }, () => random.nextNormal());
  for (let pass = 0; pass < PASSES; pass++) {
    orthonormalize(data, { rows: size, columns: width });
    data = multiply(information, data, width);
  }
  orthonormalize(data, { rows: size, columns: width });
  standardizeRows(data, { rows: size, width, random: () => random.nextNormal() });
  return { dtype: "float32", shape: [size, width], data };
}

/** `matrix · basis`: `[size, size] · [size, columns]`. */
function multiply({ size, rowStarts, columns: entries, values }: SparseMatrix, basis: Float32Array, columns: number) {
  const product = new Float32Array(size * columns);
  for (let row = 0; row < size; row++) {
    const target = product.subarray(row * columns, (row + 1) * columns);
    for (let entry = rowStarts[row] ?? 0; entry < (rowStarts[row + 1] ?? 0); entry++) {
      const value = values[entry] ?? 0;
      const source = (entries[entry] ?? 0) * columns;
      for (let column = 0; column < columns; column++) {
        target[column] = (target[column] ?? 0) + value * (basis[source + column] ?? 0);
      }
    }
  }
  return product;
}

/** Gram-Schmidt over the columns, each twice against those before it, which is as exact as the number format (in place). */
function orthonormalize(
  basis: Float32Array,
  { rows, columns }: { readonly rows: number; readonly columns: number },
): void {
  // Column by column in memory: the inner loops are along columns.
  const transposed = Array.from({ length: columns }, (_, column) =>
    Float64Array.from({ length: rows }, (__, row) => basis[row * columns + column] ?? 0),
  );
  for (const [index, vector] of transposed.entries()) {
    for (let repeat = 0; repeat < 2; repeat++) {
      for (const before of transposed.slice(0, index)) {
        const share = dot(before, vector);
        for (let row = 0; row < rows; row++) {
          vector[row] = (vector[row] ?? 0) - share * (before[row] ?? 0);
        }
      }
    }
    const length = Math.sqrt(dot(vector, vector));
    for (let row = 0; row < rows; row++) {
      // A column that the others span (fewer independent ones than asked for) becomes zero.
      vector[row] = length > 1e-12 ? (vector[row] ?? 0) / length : 0;
    }
  }
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      basis[row * columns + column] = transposed[column]?.[row] ?? 0;
    }
  }
}

function dot(left: Float64Array, right: Float64Array): number {
  let sum = 0;
  for (let index = 0; index < left.length; index++) {
    sum += (left[index] ?? 0) * (right[index] ?? 0);
  }
  return sum;
}

/** Takes the mean row from each row and gives it root mean square 1 (in place). */
function standardizeRows(
  data: Float32Array,
  { rows, width, random }: { readonly rows: number; readonly width: number; readonly random: () => number },
): void {
  const mean = new Float64Array(width);
  data.forEach((value, index) => {
    mean[index % width] = (mean[index % width] ?? 0) + value / rows;
  });
  for (let row = 0; row < rows; row++) {
    const vector = data.subarray(row * width, (row + 1) * width);
    const seen = vector.some((value) => Math.abs(value) > 1e-9);
    let squares = 0;
    for (let column = 0; column < width; column++) {
      vector[column] = seen ? (vector[column] ?? 0) - (mean[column] ?? 0) : random();
      squares += (vector[column] ?? 0) ** 2;
    }
    const scale = Math.sqrt(width / Math.max(squares, 1e-30));
    for (let column = 0; column < width; column++) {
      vector[column] = (vector[column] ?? 0) * scale;
    }
  }
}

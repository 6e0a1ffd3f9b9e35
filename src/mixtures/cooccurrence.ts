import { CadreError } from "../core/errors.js";

/** More pieces would take a table of more than a gibibyte. */
export const MAX_COUNTED_PIECES = 16_384;

/** A symmetric matrix of which only the entries that are not zero are kept, row by row. */
export interface SparseMatrix {
  readonly size: number;
  /** `[size + 1]`: where each row's entries begin. */
  readonly rowStarts: Uint32Array;
  readonly columns: Uint16Array;
  readonly values: Float32Array;
}

/**
 * Positive pointwise mutual information of the pieces that stand near each other in texts: `max(0, log(c · Σs / (s_i · s_j)))`, where a pair at
 * distance `d ≤ window` counts `1/d` and the rarer piece's sum is raised by smoothing: one of the two sums enters with the power 3/4, symmetrically
 * (Levy, Goldberg and Dagan 2015, section 3).
 * @param texts Token ids; no pair spans two texts.
 * @throws CadreError `unsupported` for a vocabulary above `MAX_COUNTED_PIECES`; `invalid-argument` for an id outside it.
 */
export function pointwiseMutualInformation(
  texts: readonly ArrayLike<number>[],
  { vocabularySize, window }: { readonly vocabularySize: number; readonly window: number },
): SparseMatrix {
  const counts = countPairs(texts, { vocabularySize, window });
  const sums = rowSums(counts, vocabularySize);
  const total = sums.reduce((sum, one) => sum + one, 0);
  const smoothed = sums.map((sum) => sum ** SMOOTHING);
  const smoothedTotal = smoothed.reduce((sum, one) => sum + one, 0);
  // log of s_i · s_j, one of them smoothed, averaged over which: a sum of one term for each piece.
  const terms = sums.map((sum, piece) =>
    sum === 0 ? 0 : (Math.log(sum / total) + Math.log((smoothed[piece] ?? 0) / smoothedTotal)) / 2,
  );
  const informationOf = (row: number, column: number): number => {
    const count = counts[row * vocabularySize + column] ?? 0;
    return count === 0 ? 0 : Math.log(count / total) - (terms[row] ?? 0) - (terms[column] ?? 0);
  };
  return compress(vocabularySize, informationOf);
}

/** Smoothing of context counts: word2vec's and Levy et al.'s 3/4. */
const SMOOTHING = 0.75;

/** `[vocabulary · vocabulary]`, symmetric. */
function countPairs(
  texts: readonly ArrayLike<number>[],
  { vocabularySize, window }: { readonly vocabularySize: number; readonly window: number },
): Float32Array {
  if (vocabularySize > MAX_COUNTED_PIECES) {
    throw new CadreError(
      "unsupported",
      `pointwiseMutualInformation: expected a vocabulary of at most ${MAX_COUNTED_PIECES} pieces, got ${vocabularySize}; start from random embeddings instead`,
    );
  }
  const counts = new Float32Array(vocabularySize ** 2);
  for (const tokens of texts) {
    for (let position = 0; position < tokens.length; position++) {
      const piece = tokens[position] ?? -1;
      if (!(piece >= 0 && piece < vocabularySize)) {
        throw new CadreError(
          "invalid-argument",
          `pointwiseMutualInformation: expected token ids below ${vocabularySize}, got ${piece}`,
        );
      }
      const last = Math.min(window, position);
      for (let distance = 1; distance <= last; distance++) {
        const other = tokens[position - distance] ?? 0;
        const weight = 1 / distance;
        // Both directions; a piece beside itself counts twice, as the transposed table added to it would.
        counts[piece * vocabularySize + other] = (counts[piece * vocabularySize + other] ?? 0) + weight;
        counts[other * vocabularySize + piece] = (counts[other * vocabularySize + piece] ?? 0) + weight;
      }
    }
  }
  return counts;
}

function rowSums(counts: Float32Array, size: number): number[] {
  return Array.from({ length: size }, (_, row) => {
    let sum = 0;
    for (let column = 0; column < size; column++) {
      sum += counts[row * size + column] ?? 0;
    }
    return sum;
  });
}

function compress(size: number, entryOf: (row: number, column: number) => number): SparseMatrix {
  const rowStarts = new Uint32Array(size + 1);
  const columns: number[][] = [];
  const values: number[][] = [];
  for (let row = 0; row < size; row++) {
    const rowColumns: number[] = [];
    const rowValues: number[] = [];
    for (let column = 0; column < size; column++) {
      const value = entryOf(row, column);
      if (value > 0) {
        rowColumns.push(column);
        rowValues.push(value);
      }
    }
    columns.push(rowColumns);
    values.push(rowValues);
    rowStarts[row + 1] = (rowStarts[row] ?? 0) + rowColumns.length;
  }
  return {
    size,
    rowStarts,
    columns: Uint16Array.from(columns.flat()),
    values: Float32Array.from(values.flat()),
  };
}

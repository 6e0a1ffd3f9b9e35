import { at } from "../core/at.js";
import { powerOfTwo } from "../core/numbers.js";

/** Rows that are decoded together. */
export interface DecodingBatch {
  /** Rows of the program; those behind the members are padding. */
  readonly rows: number;
  readonly inputLength: number;
  /** The positions of the members in the caller's list. */
  readonly members: readonly number[];
}

/** Rows of a batch: more take memory and make the first answers wait. */
export const MOST_ROWS = 32;
/** Input tokens of a batch, so that activations of a prefill stay in tens of megabytes. */
const BATCH_INPUT_TOKENS = 8192;
const SHORTEST_INPUT = 16;

/**
 * Distributes inputs over batches of few shapes: those whose lengths have the same power of two (16 or more) lie together, the longest first.
 * A pure function of the lengths.
 * @param mostRows Of a batch.
 */
export function batchesOf(lengths: readonly number[], mostRows = MOST_ROWS): DecodingBatch[] {
  const groups = new Map<number, number[]>();
  const order = [...lengths.keys()].sort((left, right) => at(lengths, right) - at(lengths, left) || left - right);
  for (const index of order) {
    const inputLength = Math.max(SHORTEST_INPUT, powerOfTwo(at(lengths, index)));
    groups.set(inputLength, [...(groups.get(inputLength) ?? []), index]);
  }
  return [...groups].flatMap(([inputLength, members]) => {
    const most = Math.max(1, Math.min(mostRows, Math.floor(BATCH_INPUT_TOKENS / inputLength)));
    return Array.from({ length: Math.ceil(members.length / most) }, (_, batch): DecodingBatch => {
      const own = members.slice(batch * most, (batch + 1) * most);
      return { rows: powerOfTwo(own.length), inputLength, members: own };
    });
  });
}

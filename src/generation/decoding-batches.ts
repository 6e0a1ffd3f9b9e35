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
 * Padded input tokens that a batch less is worth: its steps read the decoder's weights once more. Measured for 32 steps on one thread: a batch's steps
 * take as long as encoding 400 tokens (cadre-mini) to 730 (T5-small's shape).
 */
const PADDING_WORTH_A_BATCH = 512;

/**
 * Distributes inputs over batches of few shapes, the longest first: as long as its longest row, rounded up to a power of two (16 or more). Shorter rows
 * join where their padding costs less than a batch of their own. A pure function of the lengths.
 * @param mostRows Of a batch.
 */
export function batchesOf(lengths: readonly number[], mostRows = MOST_ROWS): DecodingBatch[] {
  const batches: { readonly inputLength: number; readonly members: number[]; padding: number }[] = [];
  const order = [...lengths.keys()].sort((left, right) => at(lengths, right) - at(lengths, left) || left - right);
  for (const index of order) {
    const own = Math.max(SHORTEST_INPUT, powerOfTwo(at(lengths, index)));
    const last = batches.at(-1);
    const padding = (last?.inputLength ?? own) - own;
    if (
      last === undefined ||
      last.members.length >= mostRowsOf(last.inputLength, mostRows) ||
      last.padding + padding > PADDING_WORTH_A_BATCH
    ) {
      batches.push({ inputLength: own, members: [index], padding: 0 });
    } else {
      last.members.push(index);
      last.padding += padding;
    }
  }
  return batches.map(({ inputLength, members }) => ({ rows: powerOfTwo(members.length), inputLength, members }));
}

function mostRowsOf(inputLength: number, mostRows: number): number {
  return Math.max(1, Math.min(mostRows, Math.floor(BATCH_INPUT_TOKENS / inputLength)));
}

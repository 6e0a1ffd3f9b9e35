import { at } from "../core/at.js";
import { hashText } from "../core/random.js";
import { type Leak, type RowPlace, SPLITS, type SplitName } from "./user-task.js";

/** Share of the rows that a made validation or test split gets. */
export const MADE_SHARE = 0.1;

const WORD = /[\p{L}\p{M}\p{N}]+/gu;

/**
 * A number in [0, 2^32) by which a row is put into a split: a function of the seed and of the input's words, so that inputs that are equal but for case,
 * punctuation and white space stay together, in every task, and rows that are added later move no other. An input without words counts as it is.
 */
export function splitHash(input: string, seed: number): number {
  const words = input.normalize("NFKC").toLowerCase().match(WORD);
  return hashText(`${seed}\n${words === null ? input.trim() : words.join(" ")}`);
}

/** What {@link assignSplits} needs of a row. */
export interface SplittableRow {
  /** See {@link splitHash}. */
  readonly hash: number;
  /** The split that was given; all rows of a task have one, or none has. */
  readonly split?: SplitName;
}

/** A split for every row, and which splits were made. */
export interface AssignedSplits {
  readonly splits: readonly SplitName[];
  readonly made: readonly SplitName[];
}

/**
 * Puts every row into a split. Without given ones about 10 % of the different inputs become test, 10 % validation; where validation or test alone is not
 * given, it is taken from the training rows. With three different inputs or more no made split is empty.
 */
export function assignSplits(rows: readonly SplittableRow[]): AssignedSplits {
  const given = new Set(rows.flatMap(({ split }) => split ?? []));
  const made = given.size === 0 ? SPLITS : SPLITS.filter((split) => split !== "train" && !given.has(split));
  const evaluation = (["test", "validation"] as const).filter((split) => made.includes(split));
  const pool = new Set(rows.flatMap(({ hash, split }) => (split === undefined || split === "train" ? [hash] : [])));
  const sorted = [...pool].sort((a, b) => a - b);
  const ends = endsOf(sorted, evaluation.length);
  const splits = rows.map(({ hash, split }) => {
    if (split !== undefined && split !== "train") return split;
    const part = ends.findIndex((end) => hash < end);
    return part < 0 ? "train" : at(evaluation, part);
  });
  return { splits, made: pool.size === 0 ? [] : made };
}

/** Where the hashes of each made part end, so that none is empty while there are enough hashes, the training rows' first. */
function endsOf(sorted: readonly number[], parts: number): number[] {
  const ends: number[] = [];
  let taken = 0;
  for (let part = 1; part <= parts; part++) {
    const left = sorted.length - taken - 1; // one at least stays for training
    // Of few inputs validation, the last part, comes before test.
    const reserved = parts - part;
    const natural = sorted.filter((hash) => hash < part * MADE_SHARE * 2 ** 32).length - taken;
    const count = Math.max(0, Math.min(Math.max(1, natural), left - reserved));
    taken += count;
    ends.push(taken === 0 ? 0 : at(sorted, taken - 1) + 1);
  }
  return ends;
}

/** A row with the input by which it is compared. */
export interface PlacedRow {
  readonly input: string;
  readonly place: RowPlace;
  readonly split: SplitName;
}

/**
 * Finds the rows of given splits whose input, but for white space around it, occurs in a split that judges them: training rows in validation or test, validation rows in test.
 * @returns the leaks by the row's index
 */
export function findLeaks(rows: readonly PlacedRow[]): Map<number, Leak> {
  const leaks = new Map<number, Leak>();
  const seen = new Map<string, { readonly split: SplitName; readonly place: RowPlace }>();
  for (const judging of ["test", "validation", "train"] as const) {
    const own: [string, { readonly split: SplitName; readonly place: RowPlace }][] = [];
    for (const [index, { input, place, split }] of rows.entries()) {
      if (split !== judging) continue;
      const key = input.trim();
      const of = seen.get(key);
      if (of !== undefined) leaks.set(index, { split, place, of });
      else if (judging !== "train") own.push([key, { split, place }]);
    }
    for (const [key, place] of own) if (!seen.has(key)) seen.set(key, place);
  }
  return leaks;
}

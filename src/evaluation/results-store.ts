import type { Cell } from "./results-schema.js";

/** What a cell is found by. */
export type CellKey = Pick<Cell, "system" | "systemSha256" | "task" | "taskSha256">;

/** What answering a cell's rows gives. */
export type Answered = Pick<Cell, "predictions" | "scores" | "truncatedInputs" | "flops" | "seconds">;

/**
 * The finished cells of an evaluation: one that was killed goes on with the first cell that it had not finished. A cell of an expert or a task of
 * other content (by their hashes) is another cell.
 */
export interface ResultsStore {
  /** A finished cell, or undefined. @throws CadreError `invalid-file` for a damaged file, naming it. */
  find(key: CellKey): Promise<Cell | undefined>;
  /**
   * Keeps a finished cell: it is there whole or not at all.
   * @throws CadreError `invalid-argument` unless every prediction has a score of 0 to 1.
   */
  keep(cell: Cell): Promise<Cell>;
  /** `find`, or else `keep` of what `answer` gives; what it throws passes through, and nothing is kept. */
  cell(key: CellKey, answer: () => Promise<Answered>): Promise<Cell>;
}

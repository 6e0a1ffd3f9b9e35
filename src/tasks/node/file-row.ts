import type { RawRow } from "../row-values.js";
import type { Problem } from "../user-task.js";

/** A row of a data file, or what is wrong with it. */
export type FileRow =
  | { readonly line: number; readonly row: RawRow }
  | { readonly line: number; readonly problem: Problem };

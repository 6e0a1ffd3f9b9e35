import { CadreError } from "../core/errors.js";
import type { Example } from "./task.js";

/** The parts of a task's rows: to train on, to choose on while training, to judge by. */
export const SPLITS = ["train", "validation", "test"] as const;
/** One of {@link SPLITS}. */
export type SplitName = (typeof SPLITS)[number];

/** Most rows of one task, bad ones included; a larger task is refused, as the first rows alone would not stand for all. */
export const MAX_TASK_ROWS = 1_000_000;
/** Most characters (UTF-16 units) of all inputs and targets of one task: they are kept in memory. */
export const MAX_TASK_CHARACTERS = 2 ** 28;
/** Most bytes of one row; a longer one is a bad row. */
export const MAX_ROW_BYTES = 2 ** 20;
/** Bad rows of a task that are listed one by one; all are counted. */
export const MAX_LISTED_PROBLEMS = 1000;

/** Where a row was read. */
export interface RowPlace {
  readonly file: string;
  /** The line on which the row begins, from 1; in a Parquet file, which has no lines, the number of the row. */
  readonly line: number;
}

/**
 * What can be wrong with a row:
 * - `syntax`: no JSON object, or a quote of CSV that is not closed
 * - `encoding`: not UTF-8, or a zero byte
 * - `too-long`: above {@link MAX_ROW_BYTES}
 * - `columns`: more or fewer columns than the first line of the CSV
 * - `missing-field`, `ambiguous-fields`: no field, or several, that could be the input or the target
 * - `wrong-value`: a field that should be a text is a list, an object or something else
 * - `empty-input`, `empty-target`
 * - `not-a-choice`: the target is none of the choices, or the choices are no choices
 * - `split`: an unknown split, or none where other rows have one
 * - `template`: the template failed on the row
 */
export type ProblemKind =
  | "syntax"
  | "encoding"
  | "too-long"
  | "columns"
  | "missing-field"
  | "ambiguous-fields"
  | "wrong-value"
  | "empty-input"
  | "empty-target"
  | "not-a-choice"
  | "split"
  | "template";

/** What is wrong with a row, without its place. */
export interface Problem {
  readonly kind: ProblemKind;
  /** What was expected and found, and what to do. */
  readonly problem: string;
}

/** A bad row: it is counted, and neither trained on nor judged by. */
export interface RowProblem extends RowPlace, Problem {}

/** A row rendered by a template. */
export interface UserExample extends Example {
  /** Number of the row among the good rows of its task, from 0; examples of one row by several templates share it. */
  readonly instance: number;
  /** Which of the task's templates rendered it. */
  readonly template: number;
  readonly place: RowPlace;
}

/**
 * Where choices come from: `option` (the caller's list), `template` (its answer choices), `rows` (each row brings its own), `inferred` from the
 * targets; `none`.
 */
export type ChoicesFrom = "option" | "template" | "rows" | "inferred" | "none";

/** How a task's rows are shown to a model. */
export interface UserTaskTemplate {
  /** A name given by the caller, else `template 1` and so on; `input` for rows that are taken as they are. */
  readonly name: string;
  /** The choices that all its examples share. */
  readonly choices?: readonly string[];
  readonly choicesFrom: ChoicesFrom;
  /** How the choices were found, or why there are none, in words. */
  readonly choicesNote: string;
  /** Different targets among all its examples. */
  readonly distinctTargets: number;
}

/** A row that was taken out of a split because a split that judges it holds an equal input. */
export interface Leak {
  readonly split: SplitName;
  readonly place: RowPlace;
  /** The row that stays. */
  readonly of: { readonly split: SplitName; readonly place: RowPlace };
}

/** A row that was taken out, with what it says: its answer may differ from that of the row that stays. */
export interface LeftOutRow extends Leak {
  /** By the first template. */
  readonly input: string;
  /** By the first template. */
  readonly targets: readonly string[];
}

/** A task of a person's own files, ready to train and to judge. */
export interface UserTask {
  readonly name: string;
  /** The files it was read from. */
  readonly files: readonly string[];
  /** At least one. */
  readonly templates: readonly UserTaskTemplate[];
  /** All examples of good rows, in the order of the files; no input of a split occurs in another one. */
  readonly splits: Readonly<Record<SplitName, readonly UserExample[]>>;
  /** Whether the splits come from a field of the rows, from the files' names, or were made. */
  readonly splitFrom: "field" | "files" | "made";
  /** The splits that were taken from the training rows by seed, as nobody gave them. */
  readonly splitsMade: readonly SplitName[];
  /** Good rows. */
  readonly instances: number;
  /** Bad rows, the first {@link MAX_LISTED_PROBLEMS} of them. */
  readonly problems: readonly RowProblem[];
  /** All bad rows by kind. */
  readonly problemCounts: Readonly<Partial<Record<ProblemKind, number>>>;
  /** Rows that were taken out of a split; they are among the good rows. */
  readonly leaks: readonly LeftOutRow[];
  /** Fields that some rows have and nothing reads, by name. */
  readonly unusedFields: readonly string[];
}

/** Rows of a split; examples are more where a task has several templates. */
export function countRows(examples: readonly UserExample[]): number {
  return new Set(examples.map(({ instance }) => instance)).size;
}

/** Bad rows of a task. */
export function countProblems({ problemCounts }: Pick<UserTask, "problemCounts">): number {
  return Object.values(problemCounts).reduce((sum, count) => sum + count, 0);
}

/** A bad row as an error, for callers that stop at the first. */
export function problemError({ file, line, kind, problem }: RowProblem): CadreError {
  return new CadreError("invalid-file", `${file}: line ${line}: ${problem}`, { details: { file, line, kind } });
}

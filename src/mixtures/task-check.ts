import type { Leak, RowPlace, SplitName, UserTask, UserTaskTemplate } from "../tasks/user-task.js";

/** Something about a task that a person should know. */
export interface Finding {
  /** `problem`: data to be mended, `cadre check --strict` fails. `advice`: worth a thought. */
  readonly level: "problem" | "advice";
  readonly text: string;
}

/** How long some sequences are, in tokens with the end token; all 0 where nothing was measured. */
export interface LengthCheck {
  readonly measured: number;
  readonly median: number;
  /** 95 % are at most as long. */
  readonly percentile95: number;
  readonly longest: number;
  readonly limit: number;
  /** Measured ones above the limit: of an input or an answer the end is cut, choices are refused. */
  readonly cut: number;
}

/** How often an answer occurs. */
export interface LabelCount extends Readonly<Record<SplitName, number>> {
  readonly label: string;
}

/** A template's examples. */
export interface TemplateCheck extends UserTaskTemplate {
  /** For each choice, where all rows share them; else empty. */
  readonly labels: readonly LabelCount[];
  readonly inputTokens: LengthCheck;
  /** Whether `targetTokens` are those of the answer, or of a row's choices together, which share their room where they are learned. */
  readonly targetTokensOf: "answer" | "choices";
  readonly targetTokens: LengthCheck;
}

/** Equal inputs with different answers. */
export interface Conflict {
  readonly input: string;
  readonly answers: readonly { readonly target: string; readonly place: RowPlace }[];
}

/** What `checkTask` found. */
export interface TaskCheck {
  readonly name: string;
  readonly files: readonly string[];
  /** Rows of the files, bad ones included. */
  readonly rows: number;
  readonly badRows: number;
  readonly problemCounts: UserTask["problemCounts"];
  /** The first bad rows. */
  readonly problems: UserTask["problems"];
  /** Rows of each split, without those that were taken out. */
  readonly splitRows: Readonly<Record<SplitName, number>>;
  readonly splitFrom: UserTask["splitFrom"];
  readonly splitsMade: UserTask["splitsMade"];
  readonly templates: readonly TemplateCheck[];
  /** Rows that repeat input and answer of an earlier row of their split. */
  readonly duplicates: number;
  /** Inputs that occur with different answers, also in different splits; the first 100 listed. */
  readonly conflictCount: number;
  readonly conflicts: readonly Conflict[];
  /** Rows that were taken out, as an equal input judges them; the first 100 listed. */
  readonly leakCount: number;
  readonly leaks: readonly Leak[];
  /** Rows that stay although an input with the same words judges them; the first 100 listed. */
  readonly nearLeakCount: number;
  readonly nearLeaks: readonly Leak[];
  readonly unusedFields: readonly string[];
  /** Why no expert can be trained on the task; absent where one can. */
  readonly refusal?: string;
  readonly findings: readonly Finding[];
}

import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import { inferChoices } from "./infer-choices.js";
import { fieldsOf } from "./recognise-row.js";
import { quote, type RawRow, textOf } from "./row-values.js";
import { createRowShowing, type ShownRow } from "./show-row.js";
import { assignSplits, findLeaks, splitHash } from "./split-rows.js";
import {
  MAX_LISTED_PROBLEMS,
  MAX_TASK_CHARACTERS,
  MAX_TASK_ROWS,
  type Problem,
  type ProblemKind,
  problemError,
  type RowPlace,
  type RowProblem,
  type SplitName,
  type UserExample,
  type UserTask,
  type UserTaskTemplate,
} from "./user-task.js";
import type { TemplateOptions } from "./user-template.js";

/** How rows become a task. */
export interface UserTaskOptions {
  /** Default: the rows are taken as they are. */
  readonly templates?: readonly TemplateOptions[];
  /** The answers to choose from; `none` for a task without choices; default: those of template or rows, else inferred from the targets. */
  readonly choices?: readonly string[] | "none";
  /** Decides made splits, in [0, 2^32). */
  readonly seed: number;
  /** Throw at the first bad row; default false. */
  readonly strict?: boolean;
}

/** Collects the rows of one task. */
export interface UserTaskBuilder {
  /**
   * @param split of the row's file, where files are splits: then for every row
   * @throws CadreError `invalid-file` for a bad row if strict; `unsupported` for more than the limits of a task.
   */
  addRow(row: RawRow, place: RowPlace, split?: SplitName): void;
  /** Counts a row that could not even be read. @throws CadreError as `addRow` */
  addProblem(place: RowPlace, problem: Problem): void;
  /**
   * @param files that the task was read from
   * @throws CadreError as `addRow`, for rows that do not fit to the others.
   */
  finish(files: readonly string[]): UserTask;
}

interface GoodRow {
  readonly place: RowPlace;
  readonly shown: readonly ShownRow[];
  readonly split?: SplitName;
}

/** Names of splits in fields and files, in lower case. */
const SPLIT_NAMES: ReadonlyMap<string, SplitName> = new Map([
  ["train", "train"],
  ["training", "train"],
  ["validation", "validation"],
  ["valid", "validation"],
  ["val", "validation"],
  ["dev", "validation"],
  ["test", "test"],
]);
/** Names of unused fields that are kept. */
const MAX_UNUSED_FIELDS = 50;

/** The split that a name means, in upper or lower case; undefined for another word. */
export function splitOf(name: string): SplitName | undefined {
  return SPLIT_NAMES.get(name.trim().toLowerCase());
}

/**
 * Starts a task.
 * @throws CadreError `invalid-config` for a template that Jinja refuses and for choices that are none.
 */
export function createUserTaskBuilder(
  name: string,
  { templates = [], choices, seed, strict = false }: UserTaskOptions,
): UserTaskBuilder {
  const showing = createRowShowing(templates, choices);
  const rows: GoodRow[] = [];
  const problems: RowProblem[] = [];
  const problemCounts: Partial<Record<ProblemKind, number>> = {};
  const unusedFields = new Set<string>();
  let fromFiles = false;
  let count = 0;
  let characters = 0;

  function countRow(file: string): void {
    if (++count > MAX_TASK_ROWS) throw tooLarge(file, `${MAX_TASK_ROWS} rows`);
  }

  function keepProblem(problem: RowProblem): void {
    if (strict) throw problemError(problem);
    problemCounts[problem.kind] = (problemCounts[problem.kind] ?? 0) + 1;
    if (problems.length < MAX_LISTED_PROBLEMS) problems.push(problem);
  }

  function describeTemplate(template: string, shown: readonly ShownRow[]): UserTaskTemplate {
    const { choices: inferred, distinct, note } = inferChoices(shown.map(({ targets }) => targets));
    const info = { name: template, distinctTargets: distinct };
    if (choices === "none") return { ...info, choicesFrom: "none", choicesNote: "no choices were asked for" };
    if (showing.given !== undefined) {
      return { ...info, choices: showing.given, choicesFrom: "option", choicesNote: "as given" };
    }
    const brought = shown[0]?.choices;
    if (brought !== undefined) {
      const isShared = shown.every((one) => areEqual(one.choices ?? [], brought));
      const choicesFrom = templates.some(({ answerChoices }) => answerChoices !== undefined) ? "template" : "rows";
      const choicesNote = isShared ? "the same for all rows" : "they differ between rows";
      return { ...info, ...(isShared ? { choices: brought } : {}), choicesFrom, choicesNote };
    }
    return inferred === undefined
      ? { ...info, choicesFrom: "none", choicesNote: note }
      : { ...info, choices: inferred, choicesFrom: "inferred", choicesNote: note };
  }

  return {
    addRow(row, place, fileSplit) {
      countRow(place.file);
      fromFiles ||= fileSplit !== undefined;
      const split = readSplit(row, fileSplit);
      const shown = "problem" in split ? split : showing.show(row);
      if ("problem" in shown) return keepProblem({ ...place, ...shown.problem });
      for (const { input, targets } of shown) {
        characters += targets.reduce((sum, target) => sum + target.length, input.length);
      }
      if (characters > MAX_TASK_CHARACTERS) throw tooLarge(place.file, `${MAX_TASK_CHARACTERS} characters of text`);
      for (const field of showing.unused(row)) if (unusedFields.size < MAX_UNUSED_FIELDS) unusedFields.add(field);
      rows.push({ place, shown, ...split });
    },
    addProblem(place, problem) {
      countRow(place.file);
      keepProblem({ ...place, ...problem });
    },
    finish(files) {
      const good = rows.filter(findsPlace(rows, keepProblem));
      const inputs = good.map(({ shown }) => at(shown, 0).input);
      const leaks = findLeaks(
        good.map(({ place, split = "train" }, index) => ({ place, split, input: at(inputs, index) })),
      );
      // What leaks must not fill the splits that are made.
      const kept = [...good.entries()].filter(([index]) => !leaks.has(index));
      const { splits: assigned, made } = assignSplits(
        kept.map(([index, { split }]) => ({ hash: splitHash(at(inputs, index), seed), ...(split && { split }) })),
      );
      const infos = showing.names.map((template, index) =>
        describeTemplate(
          template,
          good.map(({ shown }) => at(shown, index)),
        ),
      );
      const splits: Record<SplitName, UserExample[]> = { train: [], validation: [], test: [] };
      for (const [position, [instance, { place, shown }]] of kept.entries()) {
        for (const [template, { input, targets, choices: own }] of shown.entries()) {
          const allowed = at(infos, template).choices ?? own;
          const example = { input, targets, ...(allowed && { choices: allowed }) };
          splits[at(assigned, position)].push({ ...example, instance, template, place });
        }
      }
      const isGiven = good.some(({ split }) => split !== undefined);
      const order = new Map(files.map((file, index) => [file, index]));
      const orderOf = ({ file }: RowPlace) => order.get(file) ?? 0;
      return {
        name,
        files,
        templates: infos,
        splits,
        splitFrom: fromFiles ? "files" : isGiven ? "field" : "made",
        splitsMade: made,
        instances: good.length,
        problems: problems.sort((a, b) => orderOf(a) - orderOf(b) || a.line - b.line),
        problemCounts,
        leaks: [...leaks].map(([index, leak]) => {
          const { input, targets } = at(at(good, index).shown, 0);
          return { ...leak, input, targets };
        }),
        unusedFields: [...unusedFields].sort(),
      };
    },
  };
}

/** Decides which rows may stay: where one has a split or choices, all must. */
function findsPlace(rows: readonly GoodRow[], keepProblem: (problem: RowProblem) => void): (row: GoodRow) => boolean {
  const lacksChoices = ({ shown }: GoodRow) => shown.some(({ choices }) => choices === undefined);
  const needsSplit = rows.some(({ split }) => split !== undefined);
  const needsChoices = rows.some((row) => !lacksChoices(row));
  return (row) => {
    if (needsSplit && row.split === undefined) {
      keepProblem({ ...row.place, kind: "split", problem: "expected a split, as other rows have one, found none" });
      return false;
    }
    if (needsChoices && lacksChoices(row)) {
      const problem = "expected choices, as other rows have them, found none";
      keepProblem({ ...row.place, kind: "not-a-choice", problem });
      return false;
    }
    return true;
  };
}

function readSplit(
  row: RawRow,
  fileSplit: SplitName | undefined,
): { readonly split?: SplitName } | { readonly problem: Problem } {
  const { split: field } = fieldsOf(row);
  if (field === undefined) return fileSplit === undefined ? {} : { split: fileSplit };
  const text = textOf(row[field], field);
  if ("problem" in text) return text;
  const split = splitOf(text.text);
  if (split === undefined || (fileSplit ?? split) !== split) {
    const expected = fileSplit === undefined ? "train, validation or test" : `${fileSplit}, as the file's name says`;
    return { problem: { kind: "split", problem: `${field}: expected ${expected}, found ${quote(text.text)}` } };
  }
  return { split };
}

function tooLarge(file: string, limit: string): CadreError {
  return new CadreError(
    "unsupported",
    `${file}: the task has more than ${limit}, the most that is read; give a random part of its rows`,
  );
}

function areEqual(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((text, index) => text === other[index]);
}

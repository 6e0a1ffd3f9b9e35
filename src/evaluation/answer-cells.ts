import { at } from "../core/at.js";
import { throwIfAborted } from "../core/errors.js";
import { type EventHandler, emit } from "../core/events.js";
import { mean } from "../core/numbers.js";
import { type AnswererOptions, openAnswerer } from "./answerer.js";
import type { Contestant } from "./contestants.js";
import type { Questions } from "./questions.js";
import type { Cell, SystemName, TaskRecord } from "./results-schema.js";
import type { CellKey, ResultsStore } from "./results-store.js";
import type { EvaluationTask } from "./results-task.js";

/** Sent before a cell's rows are answered. */
export interface CellStartEvent {
  readonly type: "cell-start";
  readonly system: SystemName;
  readonly task: string;
  /** Rows of finished cells, those that were found among them, and of all cells. */
  readonly done: number;
  readonly total: number;
}

/** Sent when a cell has been kept. */
export interface CellEndEvent extends Omit<CellStartEvent, "type"> {
  readonly type: "cell-end";
  /** Mean over the task's rows, 0 to 1. */
  readonly score: number;
  readonly seconds: number;
}

/** A task, its rows as models see them, and what results keep of it. */
export interface JudgedTask {
  readonly task: EvaluationTask;
  readonly questions: Questions;
  readonly record: TaskRecord;
}

/** Options of `answerCells`. */
export interface AnswerCellsOptions extends AnswererOptions {
  readonly store: ResultsStore;
  readonly signal?: AbortSignal;
  readonly onEvent?: EventHandler<CellStartEvent | CellEndEvent>;
}

/** What a contestant has to answer. */
interface WantedCell {
  readonly key: CellKey;
  readonly contestant: Contestant;
  readonly judged: JudgedTask;
}

/** What `answerCells` calls a cell. */
export function cellName({ system, task }: Pick<CellKey, "system" | "task">): string {
  return JSON.stringify([system, task]);
}

/**
 * Lets groups of contestants answer what the store lacks, each within a group task by task, as rows of one task share programs.
 * @param groups As from `groupContestants`.
 * @returns All cells by `cellName`.
 */
export async function answerCells(
  groups: readonly (readonly Contestant[])[],
  tasks: readonly JudgedTask[],
  options: AnswerCellsOptions,
): Promise<ReadonlyMap<string, Cell>> {
  const { store, signal, onEvent } = options;
  const wanted = groups.map((group) => tasks.flatMap((judged) => wantedCells(group, judged)));
  const cells = new Map<string, Cell>();
  let done = 0;
  const add = ({ key, judged }: WantedCell, cell: Cell): void => {
    cells.set(cellName(key), cell);
    done += judged.task.rows.length;
  };
  const total = wanted.flat().reduce((sum, { judged }) => sum + judged.task.rows.length, 0);
  for (const one of wanted.flat()) {
    const found = await store.find(one.key);
    if (found !== undefined) {
      add(one, found);
    }
  }
  for (const [index, group] of groups.entries()) {
    const missing = at(wanted, index).filter(({ key }) => !cells.has(cellName(key)));
    if (missing.length === 0) {
      continue;
    }
    await using answerer = openAnswerer(group, options);
    for (const one of missing) {
      throwIfAborted(signal);
      const { key, contestant, judged } = one;
      const { system, task } = key;
      emit(onEvent, { type: "cell-start", system, task, done, total });
      const cell = await store.cell(key, () => answerer.answer({ ...judged, contestant, signal }));
      add(one, cell);
      emit(onEvent, { type: "cell-end", system, task, done, total, score: mean(cell.scores), seconds: cell.seconds });
    }
  }
  return cells;
}

function wantedCells(group: readonly Contestant[], judged: JudgedTask): WantedCell[] {
  const { name, sha256 } = judged.record;
  return group
    .filter(({ task = name }) => task === name)
    .map((contestant) => ({
      key: { system: contestant.system, systemSha256: contestant.sha256, task: name, taskSha256: sha256 },
      contestant,
      judged,
    }));
}

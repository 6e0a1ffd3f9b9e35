import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import { sha256 } from "../core/hash.js";
import type { RoutingText } from "../routing/text-format.js";
import { bestChoice, isCorrect } from "./rank-classification.js";
import type { Cell, TaskRecord } from "./results-schema.js";

/** A row that systems are judged on: what they may see of it, and what counts as right. */
export interface EvaluationRow extends RoutingText {
  /** Rows of one instance differ in their template alone; unique within the task. */
  readonly instance: string;
  readonly template: string;
  /** Accepted answers, at least one; the first names the class. */
  readonly targets: readonly string[];
}

/** A task that systems are judged on. */
export interface EvaluationTask {
  readonly name: string;
  /** Whether an expert was trained on other rows of this task. */
  readonly suite: "seen" | "unseen";
  /** What a score of 0 to 1 measures; default `accuracy`. */
  readonly metric?: string;
  /** Where all rows share them. */
  readonly choices?: readonly string[];
  /** See `TaskRecord.majority`. */
  readonly majority?: string;
  /** See `TaskRecord.majorityByTemplate`. */
  readonly majorityByTemplate?: Readonly<Record<string, string>>;
  readonly rows: readonly EvaluationRow[];
}

/**
 * All that routers and models may see of a task's rows, in order: no labels, and nothing that could stand for one (instance, majority). Choices
 * that all rows share stand in each.
 */
export function unlabelledRows({ choices: shared, rows }: EvaluationTask): RoutingText[] {
  return rows.map(({ input, choices = shared, answerChoices }) => ({
    input,
    ...(choices === undefined ? {} : { choices }),
    ...(answerChoices === undefined ? {} : { answerChoices }),
  }));
}

/** What results keep of a task: no inputs, but the hash of all that was asked and of what counts as right. */
export async function taskRecord(task: EvaluationTask): Promise<TaskRecord> {
  const { name, suite, metric = "accuracy", choices, majority, majorityByTemplate, rows } = task;
  const content = [
    metric,
    choices ?? null,
    rows.map(({ instance, template, input, targets, choices: own, answerChoices }) => [
      instance,
      template,
      input,
      targets,
      own ?? null,
      answerChoices ?? null,
    ]),
  ];
  return {
    name,
    suite,
    metric,
    sha256: await sha256(new TextEncoder().encode(JSON.stringify(content))),
    ...(choices === undefined ? {} : { choices: [...choices] }),
    ...(majority === undefined ? {} : { majority }),
    ...(majorityByTemplate === undefined ? {} : { majorityByTemplate: { ...majorityByTemplate } }),
    rows: rows.map(({ instance, template, targets, choices: own }) => ({
      instance,
      template,
      targets: [...targets],
      ...(own === undefined ? {} : { choices: [...own] }),
    })),
  };
}

/** What rank classification reads of a task, with its inputs or without. */
export interface JudgedTask {
  readonly name: string;
  readonly choices?: readonly string[];
  readonly rows: readonly Pick<EvaluationRow, "targets" | "choices">[];
}

/**
 * Rank classification of a task's rows: the choice with the highest score is the answer (of equal ones the first), right if it equals a target.
 * @param scores For every row, one score for each of its choices, in their order.
 * @throws CadreError `invalid-argument` unless every row has choices and as many scores; `non-finite` as `bestChoice`.
 */
export function answersByScore(
  task: JudgedTask,
  scores: readonly ArrayLike<number>[],
): Pick<Cell, "predictions" | "scores"> {
  if (scores.length !== task.rows.length) {
    throw new CadreError(
      "invalid-argument",
      `task "${task.name}": expected scores of ${task.rows.length} rows, got ${scores.length}`,
    );
  }
  const predictions = task.rows.map((row, index) => {
    const choices = row.choices ?? task.choices ?? [];
    const own = at(scores, index);
    if (choices.length === 0 || own.length !== choices.length) {
      throw new CadreError(
        "invalid-argument",
        `task "${task.name}": row ${index}: expected a score for each of its ${choices.length} choices (at least one), got ${own.length}`,
      );
    }
    return at(choices, bestChoice(own));
  });
  return {
    predictions,
    scores: task.rows.map(({ targets }, index) => (isCorrect({ prediction: at(predictions, index), targets }) ? 1 : 0)),
  };
}

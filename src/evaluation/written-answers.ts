import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import type { EvaluationResults } from "./results-schema.js";
import { textMetrics } from "./text-metrics.js";

/**
 * The tasks whose answers are written and judged by exact match, with the same answers judged by another metric: where an answer is longer than a few
 * words, exact match says little.
 * @param metric one of `textMetrics`
 * @throws CadreError `invalid-argument` for another metric.
 */
export function rescoreWritten(results: EvaluationResults, metric: string): EvaluationResults {
  const score = textMetrics.get(metric);
  if (score === undefined) {
    throw new CadreError(
      "invalid-argument",
      `rescoreWritten: expected ${[...textMetrics.keys()].join(", ")}, got "${metric}"`,
    );
  }
  const tasks = results.tasks.filter((task) => task.metric === "exact match");
  const byName = new Map(tasks.map((task) => [task.name, task]));
  return {
    ...results,
    tasks: tasks.map((task) => ({ ...task, metric })),
    routes: results.routes.filter(({ task }) => byName.has(task)),
    cells: results.cells.flatMap((cell) => {
      const task = byName.get(cell.task);
      return task === undefined
        ? []
        : [{ ...cell, scores: cell.predictions.map((answer, row) => score(answer, at(task.rows, row).targets)) }];
    }),
  };
}

import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import type { EncodedExample } from "../mixtures/encoded-example.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { type ChoiceCounts, distinctChoices, sumChoiceCounts } from "./choice-set.js";
import type { EvaluationTask, JudgedTask } from "./results-task.js";
import { type TextMetric, textMetrics } from "./text-metrics.js";

/** A task's rows as models see them: tokens, and no hint of what is right. */
export type Questions =
  | {
      /** Answers are chosen. */
      readonly kind: "choices";
      /** In the order of the task's rows; equal choices are one, and `correct` says nothing. */
      readonly examples: readonly EncodedExample[];
      /** What the answers are judged by: the same choices, and the targets among them. */
      readonly judged: JudgedTask;
      readonly counts: ChoiceCounts;
    }
  | {
      /** Answers are written. */
      readonly kind: "texts";
      readonly inputs: readonly Int32Array[];
      readonly metric: TextMetric;
    };

/**
 * Encodes a task's rows. The metric `accuracy` means rank classification, which needs choices; `exact match`, `token F1` and `ROUGE-L` judge
 * written answers.
 * @throws CadreError `invalid-argument` for another metric, or a row without the choices that its metric needs.
 */
export function encodeQuestions(task: EvaluationTask, tokenizer: Tokenizer): Questions {
  const { name, metric = "accuracy", rows } = task;
  const textMetric = textMetrics.get(metric);
  if (textMetric !== undefined) {
    return { kind: "texts", inputs: rows.map(({ input }) => tokenizer.encode(input)), metric: textMetric };
  }
  if (metric !== "accuracy") {
    throw new CadreError(
      "invalid-argument",
      `evaluation: task "${name}": expected the metric accuracy, ${[...textMetrics.keys()].join(", ")}, got "${metric}"`,
    );
  }
  const known = new Map<string, Int32Array>();
  const encodeChoice = (choice: string): Int32Array => {
    const ids = known.get(choice) ?? tokenizer.encode(choice);
    known.set(choice, ids);
    return ids;
  };
  const questions = rows.map(({ input, targets, choices = task.choices ?? [] }, index) => {
    if (choices.length === 0) {
      throw new CadreError(
        "invalid-argument",
        `evaluation: task "${name}", row ${index}: expected choices, as its metric is accuracy, got none; give choices or another metric`,
      );
    }
    const { example, texts, positions, counts } = distinctChoices(
      { input: tokenizer.encode(input), targets: choices.map(encodeChoice), correct: 0 },
      choices,
    );
    // A target that has the tokens of an earlier choice is that choice.
    const among = (target: string): string => {
      const position = positions[choices.indexOf(target)];
      return position === undefined ? target : at(texts, position);
    };
    return { example: { ...example, correct: 0 }, counts, row: { targets: targets.map(among), choices: texts } };
  });
  return {
    kind: "choices",
    examples: questions.map(({ example }) => example),
    judged: { name, rows: questions.map(({ row }) => row) },
    counts: sumChoiceCounts(questions.map(({ counts }) => counts)),
  };
}

import { CadreError } from "../../core/errors.js";
import { conversionTasks } from "./conversion.js";
import { entailmentTasks } from "./entailment.js";
import { everydayTasks } from "./everyday.js";
import { extractionTasks } from "./extraction.js";
import type { GeneratedTask } from "./generated-task.js";
import { intentTasks } from "./intent.js";
import { numberTasks } from "./numbers.js";
import { paraphraseTasks } from "./paraphrase.js";
import { sentimentTasks } from "./sentiment.js";
import { topicTasks } from "./topic.js";
import { wordTasks } from "./word-lists.js";

export type { Difficulty, GeneratedTask, GenerateOptions, SplitOptions, Splits } from "./generated-task.js";
export { generateSplits, generateTask, instanceText } from "./generated-task.js";

/** Every generated task, family by family; the everyday ones, of several families, last. */
export const generatedTasks: readonly GeneratedTask[] = [
  ...sentimentTasks,
  ...topicTasks,
  ...entailmentTasks,
  ...wordTasks,
  ...numberTasks,
  ...extractionTasks,
  ...paraphraseTasks,
  ...conversionTasks,
  ...intentTasks,
  ...everydayTasks,
];

/**
 * The generated task of a name.
 * @throws CadreError `not-found` for any other name, with the most similar one as a suggestion.
 */
export function findGeneratedTask(name: string): GeneratedTask {
  const found = generatedTasks.find((task) => task.name === name);
  if (found !== undefined) return found;
  const suggestion = generatedTasks
    .map((task) => ({ name: task.name, similarity: similarity(task.name, name.toLowerCase()) }))
    .reduce((best, next) => (next.similarity > best.similarity ? next : best));
  const hint =
    suggestion.similarity >= 0.5
      ? `did you mean ${suggestion.name}?`
      : `expected one of ${generatedTasks.map((task) => task.name).join(", ")}`;
  throw new CadreError("not-found", `no generated task ${JSON.stringify(name)}: ${hint}`, { details: { name } });
}

/** The Dice coefficient of the texts' sets of neighbouring letters, 0 to 1; names without their family count as well. */
function similarity(known: string, asked: string): number {
  const pairs = (text: string) =>
    new Set(Array.from({ length: text.length - 1 }, (_, place) => text.slice(place, place + 2)));
  const dice = (first: Set<string>, second: Set<string>) =>
    (2 * [...first].filter((pair) => second.has(pair)).length) / Math.max(1, first.size + second.size);
  const last = known.slice(known.indexOf("/") + 1);
  const wanted = pairs(asked);
  return Math.max(dice(pairs(known), wanted), dice(pairs(last), wanted));
}

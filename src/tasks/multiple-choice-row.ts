import { CadreError } from "../core/errors.js";
import type { Instance } from "./task.js";

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/** The template of multiple choice questions: the question, its options with letters, and what asks for the answer. */
export const MULTIPLE_CHOICE_TEMPLATE = "{{ question }}\n{{ options }}\nAnswer:";

/**
 * An instance from the cells of a row of MMLU's kind: question, options, and the right one as a letter (`A`) or a number from 0. Its fields are `question`
 * and `options`, a line each with its letter, `(A) ...`; the answers to choose from are the texts of the options, or their letters where two are equal.
 * @param cells at least four
 * @throws CadreError `invalid-file` that begins with `where`.
 */
export function parseMultipleChoiceRow(cells: readonly string[], where: string): Instance {
  const [question = "", ...rest] = cells.map((cell) => cell.trim());
  const answer = rest.pop() ?? "";
  const options = rest;
  if (question === "" || options.length < 2 || options.length > LETTERS.length || options.includes("")) {
    throw new CadreError(
      "invalid-file",
      `${where}: expected a question, 2 to ${LETTERS.length} options and an answer, none empty, found ${cells.length} cells`,
    );
  }
  const index = /^\d{1,2}$/.test(answer) ? Number(answer) : LETTERS.indexOf(answer.toUpperCase() || "?");
  if (index < 0 || index >= options.length) {
    const last = options.length - 1;
    throw new CadreError(
      "invalid-file",
      `${where}: expected the answer as A to ${LETTERS[last]} or 0 to ${last}, found ${JSON.stringify(answer.slice(0, 40))}`,
    );
  }
  const letters = [...LETTERS.slice(0, options.length)];
  const choices = new Set(options).size === options.length ? options : letters;
  return {
    fields: { question, options: options.map((option, place) => `(${letters[place]}) ${option}`).join("\n") },
    targets: choices.slice(index, index + 1),
    choices,
  };
}

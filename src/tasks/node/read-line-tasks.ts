import { basename, extname } from "node:path";
import { CadreError } from "../../core/errors.js";
import { parseExplainedAnswer } from "../explained-answer.js";
import { INPUT_TEMPLATE } from "../instructions.js";
import { parsePromptCompletion } from "../prompt-completion.js";
import type { Instance, Task } from "../task.js";
import { readLines } from "./read-rows-lines.js";

/** Options of {@link readPromptCompletions}. */
export interface PromptCompletionsOptions {
  /** Told of each bad row, which is left out then, such as one with an empty completion; without it the first one is an error. */
  readonly onBadRow?: (problem: string) => void;
}

/**
 * Reads a JSONL file of `{ prompt, completion }` rows as a task that is named after the file; empty lines do not count.
 * See {@link parsePromptCompletion}.
 * @throws CadreError `not-found`; `io`; `unsupported` for a binary file; `invalid-file` with the file and the line.
 */
export async function readPromptCompletions(path: string, { onBadRow }: PromptCompletionsOptions = {}): Promise<Task> {
  return readLineTask(path, (line, where) => {
    try {
      return parsePromptCompletion(parseJson(line, where), where);
    } catch (error) {
      if (onBadRow === undefined || !CadreError.isInstance(error)) throw error;
      onBadRow(error.message);
      return undefined;
    }
  });
}

/**
 * Reads a file of lines of input, answer and explanation, divided by tabs, as a task that is named after the file; the
 * explanations are dropped and empty lines do not count. See {@link parseExplainedAnswer}.
 * @throws CadreError `not-found`; `io`; `unsupported` for a binary file; `invalid-file` with the file and the line.
 */
export async function readExplainedAnswers(path: string): Promise<Task> {
  return readLineTask(path, parseExplainedAnswer);
}

async function readLineTask(path: string, parse: (line: string, where: string) => Instance | undefined): Promise<Task> {
  const instances: Instance[] = [];
  for await (const { lines, firstNumber } of readLines(path)) {
    for (const [index, line] of lines.entries()) {
      const instance = line.trim() === "" ? undefined : parse(line, `${path}: line ${firstNumber + index}`);
      if (instance !== undefined) instances.push(instance);
    }
  }
  if (instances.length === 0) {
    throw new CadreError("invalid-file", `${path}: expected at least one line with a good row, found none`);
  }
  return { name: basename(path, extname(path)), definition: "", templates: [INPUT_TEMPLATE], instances };
}

function parseJson(line: string, where: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new CadreError("invalid-file", `${where}: expected a JSON object, found ${String(cause)}`, { cause });
  }
}

import { readFile, stat } from "node:fs/promises";
import { basename, extname } from "node:path";
import Papa from "papaparse";
import { CadreError } from "../../core/errors.js";
import { wrapSystemError } from "../../core/node/system-error.js";
import { MULTIPLE_CHOICE_TEMPLATE, parseMultipleChoiceRow } from "../multiple-choice-row.js";
import type { Task } from "../task.js";

/** The largest file that is read, in bytes; MMLU's are below a mebibyte. */
const MAX_BYTES = 64 * 2 ** 20;

/**
 * Reads a CSV file of MMLU's kind as a task that is named after the file: question, options, answer, without a line of names as upstream has it, or with
 * one whose first name is `question`. See {@link parseMultipleChoiceRow}.
 * @throws CadreError `not-found`; `io`; `invalid-file` with the file and the row (from 1, the line of names not counted).
 */
export async function readMultipleChoiceCsv(path: string): Promise<Task> {
  const { data, errors } = Papa.parse<string[]>(await readText(path), { delimiter: ",", skipEmptyLines: true });
  const [problem] = errors;
  if (problem !== undefined) {
    throw new CadreError("invalid-file", `${path}: row ${(problem.row ?? 0) + 1}: ${problem.message}`);
  }
  const rows = data[0]?.[0]?.trim().toLowerCase() === "question" ? data.slice(1) : data;
  if (rows.length === 0) throw new CadreError("invalid-file", `${path}: expected at least one row, found none`);
  return {
    name: basename(path, extname(path)),
    definition: "",
    templates: [MULTIPLE_CHOICE_TEMPLATE],
    instances: rows.map((cells, index) => parseMultipleChoiceRow(cells, `${path}: row ${index + 1}`)),
  };
}

async function readText(path: string): Promise<string> {
  const bytes = await readBytes(path);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new CadreError("invalid-file", `${path}: expected UTF-8 text`, { cause });
  }
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(path);
    if (size > MAX_BYTES) {
      throw new CadreError("invalid-file", `${path}: expected at most ${MAX_BYTES} bytes, found ${size}`);
    }
    return await readFile(path);
  } catch (error) {
    throw wrapSystemError(error, `cannot read ${path}`);
  }
}

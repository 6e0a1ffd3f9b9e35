import { stat } from "node:fs/promises";
import { extname } from "node:path";
import * as z from "zod";
import { CadreError } from "../../core/errors.js";
import { findJsonProblem } from "../../core/json-check.js";
import { MAX_JSON_BYTES } from "../../core/node/json.js";
import { nullNonFinite } from "../../core/non-finite.js";
import { parseConfig } from "../../core/parse-config.js";
import { readLines } from "./read-rows-lines.js";
import { textOfRow } from "./read-rows-text.js";

/** The text of one row of a data file, without its answers. */
export interface TextRow {
  /** From 1: the line (of a paragraph: its first), or the place in the list of a JSON file. */
  readonly number: number;
  readonly text: string;
}

/** Rows of a file, some thousands at a time. */
export interface RowBatch {
  readonly rows: readonly TextRow[];
  /** Bytes that were read since the batch before. */
  readonly bytes: number;
}

const instructionsSchema = z.looseObject({ Instances: z.array(z.looseObject({ input: z.string() })) });
const listSchema = z.array(z.record(z.string(), z.unknown()));
const examplesSchema = z.looseObject({ examples: listSchema });

const READERS: Readonly<Record<string, (path: string) => AsyncGenerator<RowBatch>>> = {
  ".jsonl": readJsonLines,
  ".ndjson": readJsonLines,
  ".json": readJsonRows,
  ".txt": readPlainText,
  ".csv": readTableTexts,
  ".tsv": readTableTexts,
  ".parquet": readParquetTexts,
  ".xml": readCopaTexts,
};

/**
 * The rows of a data file, by the ending of its name:
 * - `.jsonl`, `.ndjson`: a line is a row, an object; see {@link textOfRow} for its text
 * - `.json`: `{ Definition, Instances: [{ input }] }`, where the text is the input alone, or a list of objects as in
 *   `.jsonl`, bare or under the key `examples`
 * - `.txt`: a paragraph is a row. Judged by the first mebibyte, a paragraph is a run of lines between empty ones where
 *   one line in twenty or more is empty or the text is wrapped (no line above 100 characters, half of them at least
 *   80 % of the longest); elsewhere every line is one.
 * - `.csv`, `.tsv`: a record is a row, as in `.jsonl` where the first one names the columns (short, distinct names, none a number); elsewhere all of
 *   its cells, as in MMLU's files
 * - `.parquet`: a row as in `.jsonl`
 * - `.xml`: a COPA corpus; premise and alternatives
 * @throws CadreError `unsupported` for what holds no rows (another ending, an empty or binary file, text that is not
 *   UTF-8, JSON of another shape); `invalid-file` for a broken row, with its line; `not-found`; `io`.
 */
export async function* readRows(path: string): AsyncGenerator<RowBatch> {
  const reader = READERS[extname(path).toLowerCase()];
  if (reader === undefined) {
    const endings = Object.keys(READERS).join(", ");
    throw new CadreError("unsupported", `${path}: expected a file that ends in ${endings}`, { details: { path } });
  }
  let empty = true;
  for await (const batch of reader(path)) {
    empty &&= batch.rows.length === 0;
    yield batch;
  }
  if (empty) throw new CadreError("unsupported", `${path}: holds no rows`, { details: { path } });
}

async function* readJsonLines(path: string): AsyncGenerator<RowBatch> {
  for await (const { lines, firstNumber, bytes } of readLines(path)) {
    const rows: TextRow[] = [];
    for (const [index, line] of lines.entries()) {
      if (line.trim() === "") continue;
      const number = firstNumber + index;
      rows.push({ number, text: textOfRow(parseObject(line, `${path}: line ${number}`), `${path}: line ${number}`) });
    }
    yield { rows, bytes };
  }
}

function parseObject(line: string, where: string): object {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new CadreError("invalid-file", `${where}: expected a JSON object, found ${String(cause)}`, { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new CadreError("invalid-file", `${where}: expected a JSON object, found ${line.slice(0, 40)}`);
  }
  return value;
}

async function* readJsonRows(path: string): AsyncGenerator<RowBatch> {
  const { value, bytes } = await readJsonOfPython(path);
  if (typeof value === "object" && value !== null && "Instances" in value) {
    const { Instances } = parseConfig(instructionsSchema, value, { where: path, code: "invalid-file" });
    yield { rows: Instances.map(({ input }, index) => ({ number: index + 1, text: input })), bytes };
    return;
  }
  const list = listSchema.safeParse(value).data ?? examplesSchema.safeParse(value).data?.examples;
  if (list === undefined) {
    throw new CadreError("unsupported", `${path}: expected Instances, examples or a list of objects`, {
      details: { path },
    });
  }
  const rows = list.map((row, index) => ({ number: index + 1, text: textOfRow(row, `${path}: row ${index + 1}`) }));
  yield { rows, bytes };
}

/** A whole JSON file; `NaN` and `Infinity`, as in fields of Super-NaturalInstructions, are read as null. */
async function readJsonOfPython(path: string): Promise<{ readonly value: unknown; readonly bytes: number }> {
  const parts: string[] = [];
  let bytes = 0;
  for await (const batch of readLines(path)) {
    bytes += batch.bytes;
    if (bytes > MAX_JSON_BYTES) {
      throw new CadreError("invalid-file", `${path}: expected at most ${MAX_JSON_BYTES} bytes of JSON; use .jsonl`);
    }
    parts.push(batch.lines.join("\n"));
  }
  const text = parts.join("\n");
  if (text.trim() === "") return { value: [], bytes };
  try {
    return { value: JSON.parse(text), bytes };
  } catch {
    const plain = nullNonFinite(text);
    const problem = findJsonProblem(plain);
    if (problem === undefined) return { value: JSON.parse(plain), bytes };
    const { message, line, column } = problem;
    throw new CadreError("invalid-file", `${path}: line ${line}, column ${column}: ${message}`, { details: { path } });
  }
}

/** Longest name of a column. */
const LONGEST_NAME = 40;

async function* readTableTexts(path: string): AsyncGenerator<RowBatch> {
  const { readTableRecords } = await import("./csv-rows.js");
  const { size } = await stat(path);
  let bytes = size;
  let names: readonly string[] | undefined;
  for await (const records of readTableRecords(path)) {
    const rows: TextRow[] = [];
    for (const record of records) {
      const where = `${path}: line ${record.line}`;
      if ("problem" in record) throw new CadreError("invalid-file", `${where}: ${record.problem.problem}`);
      const { line, cells } = record;
      if (names === undefined) {
        names = nameColumns(cells) ? cells : [];
        if (names.length > 0) continue;
      }
      const row = Object.fromEntries(cells.map((cell, index) => [names?.[index] ?? `column ${index + 1}`, cell]));
      rows.push({ number: line, text: textOfRow(row, where) });
    }
    yield { rows, bytes };
    bytes = 0;
  }
}

/** Whether the first record of a file names its columns. */
function nameColumns(cells: readonly string[]): boolean {
  const isName = (cell: string): boolean =>
    cell.trim() !== "" && cell.length <= LONGEST_NAME && !/^[\W\d]+$/u.test(cell);
  return cells.every(isName) && new Set(cells).size === cells.length && !cells.some((cell) => /^[A-E]$/.test(cell));
}

async function* readParquetTexts(path: string): AsyncGenerator<RowBatch> {
  const { readParquetRows } = await import("./parquet-rows.js");
  let { size: bytes } = await stat(path);
  for await (const batch of readParquetRows(path)) {
    const rows = batch.map((one): TextRow => {
      const where = `${path}: row ${one.line}`;
      if ("problem" in one) throw new CadreError("invalid-file", `${where}: ${one.problem.problem}`);
      return { number: one.line, text: textOfRow(one.row, where) };
    });
    yield { rows, bytes };
    bytes = 0;
  }
}

async function* readCopaTexts(path: string): AsyncGenerator<RowBatch> {
  const { readCopa } = await import("./read-copa.js");
  const found = await readCopa(path);
  const rows = found.map(({ idx, premise, choice1, choice2 }) => ({
    number: idx,
    text: [premise, choice1, choice2].join("\n"),
  }));
  yield { rows, bytes: (await stat(path)).size };
}

/** Of the lines of the first batch, one in how many must be empty for paragraphs to lie between empty lines. */
const LINES_PER_EMPTY_LINE = 20;
/** Text is wrapped where no line is longer than this, and half of them fill the longest to this share. */
const WRAPPED_LINE = 100;
const WRAPPED_SHARE = 0.8;
/** The longest paragraph in UTF-16 units. */
const LONGEST_PARAGRAPH = 2 ** 26;

async function* readPlainText(path: string): AsyncGenerator<RowBatch> {
  let byLine: boolean | undefined;
  let paragraph: { readonly number: number; readonly lines: string[]; length: number } | undefined;
  for await (const batch of readLines(path)) {
    byLine ??= isRowALine(batch.lines);
    const rows: TextRow[] = [];
    for (const [index, line] of batch.lines.entries()) {
      const number = batch.firstNumber + index;
      const empty = line.trim() === "";
      if (byLine) {
        if (!empty) rows.push({ number, text: line });
      } else if (!empty) {
        paragraph ??= { number, lines: [], length: 0 };
        paragraph.lines.push(line);
        paragraph.length += line.length + 1;
        if (paragraph.length > LONGEST_PARAGRAPH) {
          throw new CadreError(
            "invalid-file",
            `${path}: the paragraph at line ${paragraph.number} is longer than 64 Mi`,
          );
        }
      } else if (paragraph !== undefined) {
        rows.push({ number: paragraph.number, text: paragraph.lines.join("\n") });
        paragraph = undefined;
      }
    }
    yield { rows, bytes: batch.bytes };
  }
  if (paragraph !== undefined) {
    yield { rows: [{ number: paragraph.number, text: paragraph.lines.join("\n") }], bytes: 0 };
  }
}

function isRowALine(lines: readonly string[]): boolean {
  const lengths = lines.map((line) => line.trim().length).filter((length) => length > 0);
  if (LINES_PER_EMPTY_LINE * (lines.length - lengths.length) >= lines.length) return false;
  lengths.sort((a, b) => a - b);
  const longest = lengths.at(-1) ?? 0;
  const median = lengths[Math.floor(lengths.length / 2)] ?? 0;
  return lengths.length < 2 || longest > WRAPPED_LINE || median < WRAPPED_SHARE * longest;
}

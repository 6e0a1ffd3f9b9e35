import Papa from "papaparse";
import { CadreError } from "../../core/errors.js";
import type { Problem } from "../user-task.js";
import { MAX_ROW_BYTES } from "../user-task.js";
import { decodeLine, type FileLine, readByteLines } from "./file-lines.js";
import type { FileRow } from "./file-row.js";

/** A record: the cells of a row, with the lines it was written on. */
export type CsvRecord =
  | { readonly line: number; readonly lines: number; readonly cells: readonly string[] }
  | { readonly line: number; readonly problem: Problem };

const QUOTE = 0x22;
/** What may divide columns of a `.csv` file; Excel writes semicolons where the comma is the decimal point. */
const CSV_DELIMITERS = [",", ";", "\t"];

/**
 * The rows of a CSV file by its first line, which names the columns. Quoted cells may hold line ends. A quote that is not closed costs its own line only.
 * @throws CadreError `invalid-file` for a first line that names no columns, or one twice; as {@link readByteLines}
 */
export function readCsvRows(path: string, signal?: AbortSignal): AsyncGenerator<FileRow[]> {
  return readTable(path, { delimiters: CSV_DELIMITERS, joinsLines: true, signal });
}

/**
 * The rows of a TSV file by its first line, which names the columns. A line is a row; cells may stand in quotes, and one that only looks like it is taken as
 * it is.
 * @throws CadreError as {@link readCsvRows}
 */
export function readTsvRows(path: string, signal?: AbortSignal): AsyncGenerator<FileRow[]> {
  return readTable(path, { delimiters: ["\t"], joinsLines: false, signal });
}

/**
 * The records of a file of cells, of which the first may name the columns or not: `.tsv` divides by tabs, everything else as a CSV file.
 * @throws CadreError as {@link readByteLines}
 */
export function readTableRecords(path: string): AsyncGenerator<CsvRecord[]> {
  return path.toLowerCase().endsWith(".tsv")
    ? readRecords(path, { delimiters: ["\t"], joinsLines: false })
    : readRecords(path, { delimiters: CSV_DELIMITERS, joinsLines: true });
}

interface TableOptions {
  readonly delimiters: readonly string[];
  readonly joinsLines: boolean;
  readonly signal?: AbortSignal | undefined;
}

async function* readRecords(path: string, { signal, ...options }: TableOptions): AsyncGenerator<CsvRecord[]> {
  let collector: RecordCollector | undefined;
  for await (const lines of readByteLines(path, signal)) {
    collector ??= new RecordCollector({
      delimiter: chooseDelimiter(lines, options.delimiters),
      joinsLines: options.joinsLines,
    });
    yield collector.add(lines);
  }
  if (collector !== undefined) yield collector.finish();
}

async function* readTable(path: string, options: TableOptions): AsyncGenerator<FileRow[]> {
  let names: readonly string[] | undefined;
  const rowsOf = (records: readonly CsvRecord[]): FileRow[] => {
    const rows: FileRow[] = [];
    for (const record of records) {
      if ("cells" in record && names === undefined) names = columnNames(record.cells, path);
      else if ("cells" in record) rows.push(rowOf(record, names ?? []));
      else if (names === undefined)
        throw new CadreError("invalid-file", `${path}: line ${record.line}: ${record.problem.problem}`);
      else rows.push(record);
    }
    return rows;
  };
  for await (const records of readRecords(path, options)) yield rowsOf(records);
}

/** Puts lines together to records. */
class RecordCollector {
  /** Lines of a record that has an open quote so far. */
  #open: FileLine[] = [];
  #openBytes = 0;
  readonly #delimiter: string;
  readonly #joinsLines: boolean;

  constructor({ delimiter, joinsLines }: { readonly delimiter: string; readonly joinsLines: boolean }) {
    this.#delimiter = delimiter;
    this.#joinsLines = joinsLines;
  }

  add(lines: readonly FileLine[]): CsvRecord[] {
    const records: CsvRecord[] = [];
    // Lines that did not belong together come back here, the next one last.
    const waiting = [...lines].reverse();
    for (let line = waiting.pop(); line !== undefined; line = waiting.pop()) {
      const isOdd = this.#joinsLines && line.bytes !== undefined && hasOddQuotes(line.bytes);
      if (this.#open.length === 0 && !isOdd) {
        records.push(...this.#alone(line));
        continue;
      }
      this.#open.push(line);
      this.#openBytes += line.bytes?.length ?? MAX_ROW_BYTES;
      const isTooLong = this.#openBytes > MAX_ROW_BYTES;
      if (this.#open.length === 1 || (!isOdd && !isTooLong)) continue;
      const joined = isTooLong ? undefined : this.#joined(this.#open);
      if (joined === undefined) records.push(...this.#giveUp(waiting));
      else {
        records.push(joined);
        this.#close();
      }
    }
    return records;
  }

  finish(): CsvRecord[] {
    const records: CsvRecord[] = [];
    while (this.#open.length > 0) {
      const waiting: FileLine[] = [];
      records.push(...this.#giveUp(waiting), ...this.add(waiting.reverse()));
    }
    return records;
  }

  /** Takes the first open line alone and puts the others back. */
  #giveUp(waiting: FileLine[]): CsvRecord[] {
    const [first, ...others] = this.#open;
    for (const line of others.reverse()) waiting.push(line);
    this.#close();
    return first === undefined ? [] : this.#alone(first);
  }

  #close(): void {
    this.#open = [];
    this.#openBytes = 0;
  }

  #joined(lines: readonly FileLine[]): CsvRecord | undefined {
    const [first] = lines;
    const decoded = decodeLine(
      Buffer.concat(lines.flatMap(({ bytes }) => [bytes ?? Buffer.of(), Buffer.from("\n")]).slice(0, -1)),
    );
    const records = "problem" in decoded ? undefined : this.#parse(decoded.text);
    const cells = records?.length === 1 ? records[0] : undefined;
    return cells === undefined || first === undefined ? undefined : { line: first.number, lines: lines.length, cells };
  }

  #alone({ number, bytes }: FileLine): CsvRecord[] {
    const decoded = decodeLine(bytes);
    if ("problem" in decoded) return [{ line: number, problem: decoded.problem }];
    if (decoded.text.trim() === "") return [];
    const cells = this.#parse(decoded.text)?.[0];
    if (cells !== undefined) return [{ line: number, lines: 1, cells }];
    if (!this.#joinsLines) return [{ line: number, lines: 1, cells: decoded.text.split(this.#delimiter) }];
    const problem = 'expected quotes in pairs, found one too many; write " within a quoted cell as ""';
    return [{ line: number, problem: { kind: "syntax", problem } }];
  }

  /** Undefined where quotes are wrong. */
  #parse(text: string): readonly (readonly string[])[] | undefined {
    // Most rows have no quotes; the parser takes ten times as long.
    if (!text.includes('"')) return [text.split(this.#delimiter)];
    const { data, errors } = Papa.parse<string[]>(text, { delimiter: this.#delimiter, newline: "\n" });
    return errors.some(({ type }) => type === "Quotes") ? undefined : data;
  }
}

function hasOddQuotes(bytes: Uint8Array): boolean {
  let count = 0;
  for (let at = bytes.indexOf(QUOTE); at >= 0; at = bytes.indexOf(QUOTE, at + 1)) count++;
  return count % 2 === 1;
}

/** The delimiter that gives the first line with content most columns. */
function chooseDelimiter(lines: readonly FileLine[], delimiters: readonly string[]): string {
  const [fallback = ","] = delimiters;
  for (const { bytes } of lines) {
    const decoded = decodeLine(bytes);
    if ("problem" in decoded || decoded.text.trim() === "") continue;
    const columns = delimiters.map(
      (delimiter) => Papa.parse<string[]>(decoded.text, { delimiter }).data[0]?.length ?? 0,
    );
    return delimiters[columns.indexOf(Math.max(...columns))] ?? fallback;
  }
  return fallback;
}

function columnNames(cells: readonly string[], path: string): string[] {
  const names = cells.map((cell, index) => (cell.trim() === "" ? `column ${index + 1}` : cell.trim()));
  const twice = names.find((name, index) => names.indexOf(name) < index);
  if (twice === undefined) return names;
  throw new CadreError("invalid-file", `${path}: line 1: the column ${JSON.stringify(twice)} occurs twice; rename one`);
}

function rowOf({ line, lines, cells }: Extract<CsvRecord, { cells: unknown }>, names: readonly string[]): FileRow {
  if (cells.length === names.length) {
    return { line, row: Object.fromEntries(names.map((name, index) => [name, cells[index]])) };
  }
  const where = lines === 1 ? "" : ` in lines ${line} to ${line + lines - 1}; is a quote not closed there?`;
  const problem = `expected ${names.length} columns as in the first line, found ${cells.length}${where}; a cell that holds the delimiter must stand in quotes`;
  return { line, problem: { kind: "columns", problem } };
}

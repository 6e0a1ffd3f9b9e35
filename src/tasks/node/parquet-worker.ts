/**
 * The worker that decodes a Parquet file: damaged counts in one make the decoder loop for hours or fill the memory, and only a thread of its own can then
 * be stopped. It answers each message with the next rows.
 */
import { parentPort, workerData } from "node:worker_threads";
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { CadreError, type ErrorCode } from "../../core/errors.js";
import { systemCodeOf, wrapSystemError } from "../../core/node/system-error.js";
import { MAX_ROW_BYTES, MAX_TASK_ROWS } from "../user-task.js";
import { TOO_LONG } from "./file-lines.js";
import type { FileRow } from "./file-row.js";

/** What the worker answers; no rows mark the end. */
export type ParquetAnswer =
  | { readonly rows: readonly FileRow[] }
  | { readonly error: { readonly code: ErrorCode; readonly message: string } };

/** Most bytes of a row group, which is in memory as a whole. */
const MAX_GROUP_BYTES = 2 ** 29;
/** Codes of the system's errors; `ERR_OUT_OF_RANGE` and the like are Node's about the arguments, which a damaged file decides. */
const FROM_SYSTEM = /^E(?!RR_)/;
/** Rows of one answer. */
const ANSWER_ROWS = 5000;

async function* readRows(path: string): AsyncGenerator<FileRow[]> {
  const file = await asyncBufferFromFile(path);
  const metadata = await parquetMetadataAsync(file);
  if (metadata.num_rows > MAX_TASK_ROWS) {
    throw tooLarge(path, `${MAX_TASK_ROWS} rows`, `${metadata.num_rows}; give a random part of them`);
  }
  let rowStart = 0;
  for (const group of metadata.row_groups) {
    const rowEnd = rowStart + Number(group.num_rows);
    if (rowEnd > metadata.num_rows) throw new Error(`row groups hold more than ${metadata.num_rows} rows`);
    if (group.total_byte_size > MAX_GROUP_BYTES) {
      const advice = "write smaller ones, or only the columns that are needed";
      throw tooLarge(path, `${MAX_GROUP_BYTES} bytes in a row group`, `${group.total_byte_size}; ${advice}`);
    }
    const rows = await parquetReadObjects({ file, metadata, rowStart, rowEnd, compressors });
    for (let start = 0; start < rows.length; start += ANSWER_ROWS) {
      const first = rowStart + start + 1;
      yield rows.slice(start, start + ANSWER_ROWS).map((row, index) => rowOf(row, first + index));
    }
    rowStart = rowEnd;
  }
}

function rowOf(row: Readonly<Record<string, unknown>>, line: number): FileRow {
  const plain = Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plainValue(value)]));
  let length = 0;
  for (const value of Object.values(plain)) length += typeof value === "string" ? value.length : 0;
  return length > MAX_ROW_BYTES ? { line, problem: TOO_LONG } : { line, row: plain };
}

/** A value as JSON would have it, which is what templates take. */
function plainValue(value: unknown): unknown {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (Array.isArray(value)) return value.map(plainValue);
  if (typeof value === "object" && value !== null && !ArrayBuffer.isView(value)) {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plainValue(item)]));
  }
  return value;
}

function tooLarge(path: string, limit: string, found: string): CadreError {
  return new CadreError("unsupported", `${path}: expected at most ${limit}, found ${found}`);
}

function answerTo(error: unknown, path: string): ParquetAnswer {
  const reason = error instanceof Error ? error.message : String(error);
  const { code, message } = CadreError.isInstance(error)
    ? error
    : FROM_SYSTEM.test(systemCodeOf(error) ?? "")
      ? wrapSystemError(error, `cannot read ${path}`)
      : new CadreError("invalid-file", `${path}: expected a Parquet file: ${reason}`);
  return { error: { code, message } };
}

const path = String(workerData);
const rows = readRows(path);
parentPort?.on("message", async () => {
  const answer = await rows.next().then(
    ({ value }): ParquetAnswer => ({ rows: value ?? [] }),
    (error: unknown) => answerTo(error, path),
  );
  parentPort?.postMessage(answer);
});

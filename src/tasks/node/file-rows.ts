import type { FileRow } from "./file-row.js";

/** Reads the rows of a file, some at a time. */
export type FileRowReader = (path: string, signal?: AbortSignal) => AsyncGenerator<readonly FileRow[]>;

/** The readers by the ending of a file's name. Each loads what it needs when it is called. */
export const ROW_READERS: Readonly<Record<string, FileRowReader>> = {
  ".jsonl": (path, signal) => lazily(async () => (await import("./json-rows.js")).readJsonLineRows(path, signal)),
  ".ndjson": (path, signal) => lazily(async () => (await import("./json-rows.js")).readJsonLineRows(path, signal)),
  ".json": (path) => lazily(async () => (await import("./json-rows.js")).readJsonListRows(path)),
  ".csv": (path, signal) => lazily(async () => (await import("./csv-rows.js")).readCsvRows(path, signal)),
  ".tsv": (path, signal) => lazily(async () => (await import("./csv-rows.js")).readTsvRows(path, signal)),
  ".parquet": (path, signal) =>
    lazily(async () => (await import("./parquet-rows.js")).readParquetRows(path, { signal })),
};

async function* lazily(load: () => Promise<AsyncGenerator<readonly FileRow[]>>): AsyncGenerator<readonly FileRow[]> {
  yield* await load();
}

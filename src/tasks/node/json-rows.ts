import { readFile, stat } from "node:fs/promises";
import { CadreError } from "../../core/errors.js";
import { findJsonProblem } from "../../core/json-check.js";
import { MAX_JSON_BYTES } from "../../core/node/json.js";
import { wrapSystemError } from "../../core/node/system-error.js";
import { parseJson } from "../../core/parse-json.js";
import { describe } from "../row-values.js";
import { MAX_ROW_BYTES } from "../user-task.js";
import { decodeLine, type FileLine, readByteLines, TOO_LONG } from "./file-lines.js";
import type { FileRow } from "./file-row.js";

/** The rows of a JSONL file: an object in every line that is not empty. @throws CadreError as {@link readByteLines} */
export async function* readJsonLineRows(path: string, signal?: AbortSignal): AsyncGenerator<FileRow[]> {
  for await (const lines of readByteLines(path, signal)) yield lines.flatMap(readLine);
}

/**
 * The rows of a JSON file that is a list of objects.
 * @throws CadreError `invalid-file` with line and column for what is no JSON; `unsupported` for JSON of another shape; `not-found`; `io`.
 */
export async function* readJsonListRows(path: string): AsyncGenerator<FileRow[]> {
  const bytes = await readBytes(path);
  const value = parseJson(bytes, { where: path });
  if (!Array.isArray(value)) {
    throw new CadreError("unsupported", `${path}: expected a list of rows, [{ … }, …], found ${describe(value)}`);
  }
  const items: readonly unknown[] = value;
  const places = placesOfItems(bytes);
  yield items.map((item, index) => {
    const { line, length } = places[index] ?? { line: 1, length: 0 };
    return length > MAX_ROW_BYTES ? { line, problem: TOO_LONG } : rowOf(item, line);
  });
}

function readLine({ number, bytes }: FileLine): FileRow[] {
  const decoded = decodeLine(bytes);
  if ("problem" in decoded) return [{ line: number, problem: decoded.problem }];
  if (decoded.text.trim() === "") return [];
  try {
    return [rowOf(JSON.parse(decoded.text), number)];
  } catch {
    const found = findJsonProblem(decoded.text);
    const reason = found === undefined ? "" : `: column ${found.column}: ${found.message}`;
    return [{ line: number, problem: { kind: "syntax", problem: `expected a JSON object${reason}` } }];
  }
}

function rowOf(value: unknown, line: number): FileRow {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return { line, row: { ...value } };
  return { line, problem: { kind: "syntax", problem: `expected a JSON object { … }, found ${describe(value)}` } };
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(path);
    if (size > MAX_JSON_BYTES) {
      throw new CadreError("unsupported", `${path}: expected at most ${MAX_JSON_BYTES} bytes of JSON; use .jsonl`);
    }
    return await readFile(path);
  } catch (error) {
    throw wrapSystemError(error, `cannot read ${path}`);
  }
}

interface ItemPlace {
  readonly line: number;
  /** Bytes from this item to the next. */
  readonly length: number;
}

const [LINE_FEED, CARRIAGE_RETURN, QUOTE, BACKSLASH, COMMA] = [0x0a, 0x0d, 0x22, 0x5c, 0x2c];
const OPENING = new Set([0x5b, 0x7b]);
const CLOSING = new Set([0x5d, 0x7d]);
const SPACE = new Set([0x20, 0x09, 0x0a, 0x0d]);

/** Where the items of a list begin; the bytes must be a JSON list. */
function placesOfItems(bytes: Uint8Array): ItemPlace[] {
  const starts: { readonly line: number; readonly start: number }[] = [];
  let line = 1;
  let depth = 0;
  let inString = false;
  let awaitsItem = false;
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index] ?? 0;
    if (byte === LINE_FEED || (byte === CARRIAGE_RETURN && bytes[index + 1] !== LINE_FEED)) line++;
    if (inString) {
      if (byte === BACKSLASH) index++;
      else if (byte === QUOTE) inString = false;
      continue;
    }
    if (awaitsItem && depth === 1 && !SPACE.has(byte)) {
      awaitsItem = false;
      if (!CLOSING.has(byte)) starts.push({ line, start: index });
    }
    if (byte === QUOTE) inString = true;
    else if (OPENING.has(byte)) awaitsItem = ++depth === 1 || awaitsItem;
    else if (CLOSING.has(byte)) depth--;
    else if (byte === COMMA && depth === 1) awaitsItem = true;
  }
  return starts.map(({ line: from, start }, index) => ({
    line: from,
    length: (starts[index + 1]?.start ?? bytes.length) - start,
  }));
}

import { readFile, stat } from "node:fs/promises";
import { CadreError } from "../errors.js";
import { findJsonProblem } from "../json-check.js";
import { wrapSystemError } from "./system-error.js";

/** The largest JSON file that is read, in bytes; below the longest string that V8 holds (2^29 units). */
export const MAX_JSON_BYTES = 256 * 2 ** 20;

/** Options of {@link readJson}. */
export interface ReadJsonOptions {
  /** Refuse objects in which a key occurs twice; default false, where the last one counts. */
  readonly uniqueKeys?: boolean;
  /** Largest accepted file in bytes; default {@link MAX_JSON_BYTES}. */
  readonly maxBytes?: number;
}

/**
 * Reads a JSON file (UTF-8). The value is untrusted: narrow it, by a schema for instance.
 * @throws CadreError `not-found`; `invalid-file` with line and column in the message and in `details`; `io`.
 */
export async function readJson(path: string, options: ReadJsonOptions = {}): Promise<unknown> {
  const text = await readUtf8(path, options.maxBytes ?? MAX_JSON_BYTES);
  let value: unknown;
  let failure: unknown;
  try {
    value = JSON.parse(text);
    if (options.uniqueKeys !== true) return value;
  } catch (error) {
    failure = error;
  }
  const problem = findJsonProblem(text);
  if (problem !== undefined) {
    const { message, line, column } = problem;
    const details = { path, line, column };
    throw new CadreError("invalid-file", `${path}: line ${line}, column ${column}: ${message}`, { details });
  }
  if (failure !== undefined) {
    throw new CadreError("invalid-file", `${path}: not JSON`, { cause: failure, details: { path } });
  }
  return value;
}

async function readUtf8(path: string, maxBytes: number): Promise<string> {
  let bytes: Buffer;
  try {
    const { size } = await stat(path);
    if (size > maxBytes) {
      throw new CadreError("invalid-file", `${path}: expected at most ${maxBytes} bytes of JSON, found ${size}`, {
        details: { path, size, maxBytes },
      });
    }
    bytes = await readFile(path);
  } catch (error) {
    throw wrapSystemError(error, `cannot read ${path}`);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new CadreError("invalid-file", `${path}: expected UTF-8 text`, { cause, details: { path } });
  }
}

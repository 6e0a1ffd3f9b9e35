import { readFile, stat } from "node:fs/promises";
import { CadreError } from "../errors.js";
import { parseJson } from "../parse-json.js";
import { wrapSystemError } from "./system-error.js";

/** The largest JSON file that is read, in bytes; below the longest string that V8 holds (2^29 units). */
export const MAX_JSON_BYTES = 256 * 2 ** 20;

/** Options of {@link readJson}. */
export interface ReadJsonOptions {
  /** Refuse objects in which a key occurs twice; default false, where the last one counts. */
  readonly uniqueKeys?: boolean;
  /** Read the numbers `NaN` and `Infinity`, which Python writes, as null; default false. */
  readonly nonFiniteAsNull?: boolean;
  /** Largest accepted file in bytes; default {@link MAX_JSON_BYTES}. */
  readonly maxBytes?: number;
}

/**
 * Reads a JSON file, see `parseJson`.
 * @throws CadreError `not-found`; `invalid-file` with line and column in the message and in `details`; `io`.
 */
export async function readJson(path: string, options: ReadJsonOptions = {}): Promise<unknown> {
  const { maxBytes = MAX_JSON_BYTES, ...rest } = options;
  return parseJson(await readBytes(path, maxBytes), { where: path, ...rest });
}

async function readBytes(path: string, maxBytes: number): Promise<Uint8Array> {
  try {
    const { size } = await stat(path);
    if (size > maxBytes) {
      throw new CadreError("invalid-file", `${path}: expected at most ${maxBytes} bytes of JSON, found ${size}`, {
        details: { path, size, maxBytes },
      });
    }
    return await readFile(path);
  } catch (error) {
    throw wrapSystemError(error, `cannot read ${path}`);
  }
}

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { throwIfAborted } from "../errors.js";
import { wrapSystemError } from "./system-error.js";

const CHUNK_BYTES = 1 << 20;

/** Options of {@link hashFile}. */
export interface HashFileOptions {
  /** Stops the reading. */
  readonly signal?: AbortSignal;
}

/**
 * SHA-256 of a file as 64 lower-case hexadecimal digits, read in pieces of 1 MiB.
 * @throws CadreError `not-found`, `io`, `invalid-argument` for a folder, `aborted`.
 */
export async function hashFile(path: string, options: HashFileOptions = {}): Promise<string> {
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
      throwIfAborted(options.signal);
      hash.update(chunk);
    }
  } catch (error) {
    throw wrapSystemError(error, `cannot hash ${path}`);
  }
  return hash.digest("hex");
}

import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { lstat, open } from "node:fs/promises";
import { CadreError } from "../../core/errors.js";
import { hashFile } from "../../core/node/hash-file.js";
import { wrapSystemError } from "../../core/node/system-error.js";
import type { StoredFile } from "../manifest.js";

/** Absent on Windows, where making a symbolic link takes rights of its own. */
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;

/**
 * Bytes of a file that is itself in the folder: a symbolic link in a library that came from elsewhere could show any file of this machine.
 * @throws CadreError `not-found`; `invalid-file` for links, folders, pipes and devices; `io`.
 */
export async function plainFileSize(path: string): Promise<number> {
  const found = await lstat(path).catch((error: unknown) => {
    throw wrapSystemError(error, `cannot read ${path}`);
  });
  if (!found.isFile()) {
    const kind = found.isSymbolicLink() ? "a symbolic link" : found.isDirectory() ? "a folder" : "something else";
    throw new CadreError("invalid-file", `${path}: expected a file of its own, found ${kind}`, { details: { path } });
  }
  return found.size;
}

/** Reads a small file whole. @throws CadreError as `plainFileSize`; `invalid-file` above `maxBytes`. */
export async function readPlainFile(path: string, { maxBytes }: { readonly maxBytes: number }): Promise<Uint8Array> {
  const size = await plainFileSize(path);
  if (size > maxBytes) {
    throw new CadreError("invalid-file", `${path}: expected at most ${maxBytes} bytes, found ${size}`, {
      details: { path, size, maxBytes },
    });
  }
  try {
    const file = await open(path, constants.O_RDONLY | NO_FOLLOW);
    try {
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw wrapSystemError(error, `cannot read ${path}`);
  }
}

/** Size and hash of a file, as a manifest has them. */
export async function describeFile(path: string): Promise<StoredFile> {
  return { bytes: await plainFileSize(path), sha256: await hashFile(path) };
}

/** Compares a file with its manifest. @throws CadreError `not-found`; `invalid-file` naming what differs; `io`. */
export async function checkStoredFile(path: string, expected: StoredFile): Promise<void> {
  const bytes = await plainFileSize(path);
  if (bytes !== expected.bytes) {
    throw damaged(path, `expected ${expected.bytes} bytes as its manifest says, found ${bytes}`);
  }
  checkHash(path, { expected: expected.sha256, found: await hashFile(path) });
}

/** Reads a small file that a manifest names. @throws CadreError as `checkStoredFile` and `readPlainFile`. */
export async function readStoredFile(
  path: string,
  { stored, maxBytes }: { readonly stored: StoredFile; readonly maxBytes: number },
): Promise<Uint8Array> {
  const bytes = await readPlainFile(path, { maxBytes });
  checkHash(path, { expected: stored.sha256, found: createHash("sha256").update(bytes).digest("hex") });
  return bytes;
}

function checkHash(path: string, { expected, found }: { readonly expected: string; readonly found: string }): void {
  if (found !== expected) throw damaged(path, `expected sha256 ${expected} as its manifest says, found ${found}`);
}

function damaged(path: string, problem: string): CadreError {
  return new CadreError("invalid-file", `${path}: ${problem}; the file is damaged or was changed`, {
    details: { path },
  });
}

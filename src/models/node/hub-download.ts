import { createHash, type Hash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { type FileHandle, link, open, rename, rm, stat } from "node:fs/promises";
import { CadreError, throwIfAborted } from "../../core/errors.js";
import { systemCodeOf, wrapSystemError } from "../../core/node/system-error.js";
import { type HubRequest, openHubResponse, waitForNextTry } from "./hub-fetch.js";
import type { FileHash, HubFile } from "./hub-metadata.js";

/** A download of one file. */
export interface Download {
  readonly request: HubRequest;
  readonly url: string;
  readonly file: HubFile;
  /** Where the bytes go; until they are complete and proven they lie in `<target>.incomplete`, as with the Python library. */
  readonly target: string;
  /** Told the bytes that are there, those of earlier tries included. */
  readonly onBytes: (doneBytes: number) => void;
}

/**
 * Downloads a file and proves it by its hash. An earlier `.incomplete` file is continued (HTTP Range); a connection that breaks is taken up
 * again where it broke.
 * @throws CadreError `network` (after several tries without progress, or for wrong bytes), `unauthorized`, `not-found`, `io`, `aborted`.
 */
export async function downloadFile(download: Download): Promise<void> {
  try {
    await fetchProven(download, `${download.target}.incomplete`);
  } catch (error) {
    // Processes that fetch the same file at a time write the same bytes at the same places; the first to be done proves and renames it.
    const aborted = CadreError.isInstance(error) && error.code === "aborted";
    if (aborted || (await sizeOf(download.target).catch(() => 0)) !== download.file.bytes) throw error;
  }
}

async function fetchProven(download: Download, incomplete: string): Promise<void> {
  const resumed = await fetchRest(download, incomplete);
  if ((await digestOf(incomplete, download)) !== download.file.hash.hex) {
    // What an earlier run left may have been wrong; what this run fetched alone says something about the server.
    await rm(incomplete, { force: true });
    if (resumed) await fetchRest(download, incomplete);
    if (!resumed || (await digestOf(incomplete, download)) !== download.file.hash.hex) {
      await rm(incomplete, { force: true });
      throw new CadreError(
        "network",
        `${download.url}: expected bytes with ${download.file.hash.kind} ${download.file.hash.hex}, got others; they were deleted. ` +
          "Run it again; if it stays, something between here and the Hub changes files",
        { details: { url: download.url, expected: download.file.hash.hex } },
      );
    }
  }
  try {
    await publish(incomplete, download);
  } catch (error) {
    throw wrapSystemError(error, `cannot write ${download.target}`);
  }
}

/**
 * Gives the proven bytes their name. A hard link fails where another process was first; renaming would not, and could move what a third one has just begun to
 * write under the same `.incomplete` name.
 */
async function publish(incomplete: string, { target, file }: Download): Promise<void> {
  try {
    await link(incomplete, target);
  } catch (error) {
    const first = systemCodeOf(error) === "EEXIST" && (await sizeOf(target)) === file.bytes;
    // A file system without hard links, or a damaged file that is to be replaced.
    if (!first) return rename(incomplete, target);
  }
  await rm(incomplete, { force: true });
}

/** Fetches until the file has its length. @returns whether bytes of an earlier run were used. */
async function fetchRest(download: Download, incomplete: string): Promise<boolean> {
  const { file, request, onBytes } = download;
  let have = await sizeOf(incomplete);
  if (have > file.bytes) {
    await rm(incomplete);
    have = 0;
  }
  const resumed = have > 0;
  onBytes(have);
  // Not emptied: another process may be writing the same bytes.
  const handle = await open(incomplete, constants.O_RDWR | constants.O_CREAT).catch((error: unknown) => {
    throw wrapSystemError(error, `cannot write ${incomplete}`);
  });
  try {
    for (let attempt = 1; have < file.bytes; attempt++) {
      const before = have;
      const broken = await fetchOnce(download, handle, have, (bytes) => {
        have = bytes;
        onBytes(have);
      });
      if (have > before) attempt = 1;
      if (broken !== undefined) await waitForNextTry(request, attempt, broken);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  return resumed;
}

/** One request from byte `from` on. @returns why it ended too early, or undefined. */
async function fetchOnce(
  { request, url, file }: Download,
  handle: FileHandle,
  from: number,
  onBytes: (bytes: number) => void,
): Promise<{ readonly reason: string; readonly cause?: unknown } | undefined> {
  const opened = await openHubResponse(request, url, {
    // A compressed answer would have another length, and ranges of it another meaning.
    "accept-encoding": "identity",
    ...(from > 0 ? { range: `bytes=${from}-` } : {}),
  });
  try {
    const { response } = opened;
    const continued = response.status === 206 && response.headers.get("content-range")?.startsWith(`bytes ${from}-`);
    let position = continued === true ? from : 0;
    if (position < from) await handle.truncate(0);
    for await (const chunk of response.body ?? []) {
      opened.keepAlive();
      throwIfAborted(request.signal);
      if (position + chunk.byteLength > file.bytes) {
        throw new CadreError("network", `${url}: expected ${file.bytes} bytes, got more; run it again`);
      }
      await writeAt(handle, chunk, position);
      position += chunk.byteLength;
      onBytes(position);
    }
    return position < file.bytes ? { reason: `the connection broke at byte ${position} of ${file.path}` } : undefined;
  } catch (error) {
    if (CadreError.isInstance(error)) throw error;
    throwIfAborted(request.signal);
    return { reason: `the connection broke in ${file.path}`, cause: error };
  } finally {
    opened.close();
  }
}

async function writeAt(handle: FileHandle, chunk: Uint8Array, position: number): Promise<void> {
  try {
    for (let done = 0; done < chunk.byteLength; ) {
      const { bytesWritten } = await handle.write(chunk, done, chunk.byteLength - done, position + done);
      done += bytesWritten;
    }
  } catch (error) {
    const full = systemCodeOf(error) === "ENOSPC" || systemCodeOf(error) === "EDQUOT";
    throw wrapSystemError(
      error,
      full ? "the disk of the Hugging Face cache is full; free space and run it again, it continues" : "cannot write",
    );
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return 0;
    throw wrapSystemError(error, `cannot read ${path}`);
  }
}

async function digestOf(path: string, { file, request }: Download): Promise<string> {
  const hash = newHash(file.hash, file.bytes);
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
      throwIfAborted(request.signal);
      hash.update(chunk);
    }
  } catch (error) {
    throw wrapSystemError(error, `cannot read ${path}`);
  }
  return hash.digest("hex");
}

function newHash({ kind }: FileHash, bytes: number): Hash {
  return kind === "sha256" ? createHash("sha256") : createHash("sha1").update(`blob ${bytes}\0`);
}

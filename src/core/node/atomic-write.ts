/**
 * Files and folders that appear whole or not at all, also when the process is killed or the power fails: everything is
 * written under a temporary name beside the target, flushed to the disk, then renamed.
 */
import { randomBytes } from "node:crypto";
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { CadreError } from "../errors.js";
import { systemCodeOf, wrapSystemError } from "./system-error.js";

const TEMPORARY_PREFIX = ".tmp-";
const TEMPORARY_PATTERN = /^\.tmp-([1-9][0-9]{0,9})-[0-9a-f]{16}$/;

/** Bytes handed to one write call; Node refuses 2 GiB and more. */
const MAX_WRITE_BYTES = 1 << 28;

/** How far a file's time may lie before the start of the process that wrote it (coarse clocks), in milliseconds. */
const CLOCK_MARGIN_MS = 2000;

/** What a file is written from: a text (as UTF-8), bytes, or pieces of either, one after the other. */
export type FileContent = string | Uint8Array | Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>;

/**
 * Writes a file so that the path holds either its old content or all of the new one. A symbolic link is replaced, not
 * followed. The folder must exist.
 * @throws CadreError `not-found`, `io`; what the content's iterator throws passes through. The temporary file is removed.
 */
export async function writeFileAtomic(path: string, data: FileContent): Promise<void> {
  const target = resolve(path);
  const temporary = temporaryPathFor(target);
  try {
    const file = await system(open(temporary, "wx"), path);
    try {
      for await (const chunk of chunksOf(data)) await system(writeAll(file, chunk), path);
      await system(file.sync(), path);
    } finally {
      await file.close();
    }
    await system(rename(temporary, target), path);
    await system(syncFolder(dirname(target)), path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/**
 * Lets `fill` write a folder under a temporary name and, when it is done, moves it into place. The parent must exist.
 * @param options.replace Whether a folder that is there gives way, between two renames: all of the new one has been written by then. Default false.
 * @throws CadreError `already-exists` when there is something at the path that is not to be replaced, `not-found`, `io`; what `fill` throws passes
 * through. The temporary folder is removed, and what was there stays.
 */
export async function writeFolderAtomic(
  path: string,
  fill: (temporaryFolder: string) => Promise<void>,
  { replace = false }: { readonly replace?: boolean } = {},
): Promise<void> {
  const target = resolve(path);
  const temporary = temporaryPathFor(target);
  if (!replace) await refuseExisting(target);
  try {
    await system(mkdir(temporary), path);
    await fill(temporary);
    await system(syncTree(temporary), path);
    if (replace) await removeIfThere(target);
    // A rename would silently replace an empty folder made meanwhile.
    await refuseExisting(target);
    await system(rename(temporary, target), path);
    await system(syncFolder(dirname(target)), path);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Removes a folder so that it is there whole or gone, also when the process is killed meanwhile: it gets a temporary name first.
 * @throws CadreError `not-found`, `io`.
 */
export async function removeFolderAtomic(path: string): Promise<void> {
  const target = resolve(path);
  const temporary = temporaryPathFor(target);
  await system(rename(target, temporary), path);
  await system(rm(temporary, { recursive: true, force: true }), path);
}

async function removeIfThere(path: string): Promise<void> {
  await removeFolderAtomic(path).catch((error: unknown) => {
    if (!(CadreError.isInstance(error) && error.code === "not-found")) throw error;
  });
}

/**
 * Removes what killed processes left behind in a folder (not in its subfolders): temporary names whose process is gone.
 * Call it only where all writers run on this machine: the process of another machine looks dead from here.
 * @returns the removed paths; empty when the folder does not exist.
 * @throws CadreError `io`.
 */
export async function removeLeftovers(folder: string): Promise<string[]> {
  const removed: string[] = [];
  try {
    for (const name of await readdir(folder)) {
      const pid = Number(TEMPORARY_PATTERN.exec(name)?.[1] ?? 0);
      const path = join(folder, name);
      if (pid === 0 || !(await isLeftover(path, pid))) continue;
      await rm(path, { recursive: true, force: true });
      removed.push(path);
    }
  } catch (error) {
    if (systemCodeOf(error) !== "ENOENT") throw wrapSystemError(error, `cannot clean ${folder}`);
  }
  return removed;
}

async function isLeftover(path: string, pid: number): Promise<boolean> {
  if (pid !== process.pid) return !isAlive(pid);
  // In a container every process may have the same id: what is older than this process is not its work.
  const started = Date.now() - process.uptime() * 1000;
  return (await lstat(path)).mtimeMs < started - CLOCK_MARGIN_MS;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0); // signal 0 only asks
    return true;
  } catch (error) {
    return systemCodeOf(error) !== "ESRCH";
  }
}

// The target's own name stays out of the temporary one, which could become too long for the file system.
function temporaryPathFor(target: string): string {
  return join(dirname(target), `${TEMPORARY_PREFIX}${process.pid}-${randomBytes(8).toString("hex")}`);
}

async function refuseExisting(target: string): Promise<void> {
  try {
    await lstat(target);
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return;
    throw wrapSystemError(error, `cannot write ${target}`);
  }
  throw new CadreError("already-exists", `${target}: expected nothing there, found a file or folder`, {
    details: { path: target },
  });
}

async function* chunksOf(data: FileContent): AsyncIterable<Uint8Array> {
  if (typeof data === "string") {
    yield Buffer.from(data, "utf8");
  } else if (data instanceof Uint8Array) {
    yield data;
  } else {
    for await (const chunk of data) yield typeof chunk === "string" ? Buffer.from(chunk, "utf8") : chunk;
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await file.write(bytes, done, Math.min(bytes.length - done, MAX_WRITE_BYTES));
    done += bytesWritten;
  }
}

/** Flushes every file and folder under a folder, then the folder itself. */
async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      await syncTree(path);
    } else if (entry.isFile()) {
      const file = await open(path, "r+");
      try {
        await file.sync();
      } finally {
        await file.close();
      }
    }
  }
  await syncFolder(folder);
}

async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return; // Windows cannot open a folder, and its rename is already durable
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function system<T>(work: Promise<T>, path: string): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw wrapSystemError(error, `cannot write ${path}`);
  }
}

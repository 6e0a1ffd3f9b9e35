import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { CadreError } from "../../core/errors.js";
import { removeFolderAtomic } from "../../core/node/atomic-write.js";
import { systemCodeOf, wrapSystemError } from "../../core/node/system-error.js";

/** The names under which `core/node/atomic-write.ts` writes before it renames. */
const TEMPORARY = /^\.tmp-([1-9][0-9]{0,9})-[0-9a-f]{16}$/;

/** How long nothing was written before a temporary folder counts as left behind: a writer may be on another machine, where its process cannot be asked. */
export const LEFTOVER_IDLE_MS = 10 * 60_000;

/** Temporary names in a folder: adds under way and what killed ones left. Empty when the folder does not exist. */
export async function temporaryNames(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: unknown): string[] => {
    if (systemCodeOf(error) === "ENOENT") return [];
    throw wrapSystemError(error, `cannot read ${folder}`);
  });
  return names.filter((name) => TEMPORARY.test(name)).sort();
}

/**
 * Removes what killed processes left in a folder: temporary names in which nothing was written for {@link LEFTOVER_IDLE_MS} and whose process
 * is not alive here. Each gets a new name first, so that a writer that only slept fails at its rename instead of showing half an expert.
 * @returns the removed names.
 */
export async function removeIdleLeftovers(folder: string, now = Date.now()): Promise<string[]> {
  const removed: string[] = [];
  for (const name of await temporaryNames(folder)) {
    const path = join(folder, name);
    const pid = Number(TEMPORARY.exec(name)?.[1] ?? 0);
    if (isAliveHere(pid) || now - (await lastWritten(path)) < LEFTOVER_IDLE_MS) continue;
    try {
      await removeFolderAtomic(path);
      removed.push(name);
    } catch (error) {
      // Another process was quicker.
      if (!(CadreError.isInstance(error) && error.code === "not-found")) throw error;
    }
  }
  return removed;
}

/** The newest change of a file or of anything in a folder, in milliseconds; now where it has just gone. */
async function lastWritten(path: string): Promise<number> {
  try {
    const found = await lstat(path);
    if (!found.isDirectory()) return found.mtimeMs;
    const inner = await Promise.all((await readdir(path)).map((name) => lastWritten(join(path, name))));
    return inner.reduce((newest, time) => Math.max(newest, time), found.mtimeMs);
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return Date.now();
    throw wrapSystemError(error, `cannot read ${path}`);
  }
}

function isAliveHere(pid: number): boolean {
  // In a container every process may have the same id, so one's own says nothing: the time decides.
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0); // signal 0 only asks
    return true;
  } catch (error) {
    return systemCodeOf(error) !== "ESRCH";
  }
}

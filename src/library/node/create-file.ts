import { randomBytes } from "node:crypto";
import { link, lstat, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { CadreError } from "../../core/errors.js";
import { writeFileAtomic } from "../../core/node/atomic-write.js";
import { systemCodeOf, wrapSystemError } from "../../core/node/system-error.js";

/** What file systems without hard links (FAT, some network shares) answer. */
const NO_LINKS = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"]);

/**
 * Writes a file that is not there yet, whole or not at all: of two processes that create it at once, one gets `already-exists`.
 * (On file systems without hard links the later one may replace the file instead.)
 * @throws CadreError `already-exists`, `not-found`, `io`.
 */
export async function createFileAtomic(path: string, text: string): Promise<void> {
  if (await isThere(path)) throw taken(path);
  // A name that `removeIdleLeftovers` knows, should this process be killed.
  const temporary = join(dirname(path), `.tmp-${process.pid}-${randomBytes(8).toString("hex")}`);
  await writeFileAtomic(temporary, text);
  try {
    await link(temporary, path).catch(async (error: unknown) => {
      if (!NO_LINKS.has(systemCodeOf(error) ?? "")) throw error;
      await rename(temporary, path);
    });
  } catch (error) {
    throw systemCodeOf(error) === "EEXIST" ? taken(path) : wrapSystemError(error, `cannot write ${path}`);
  } finally {
    await rm(temporary, { force: true });
  }
}

function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

function taken(path: string): CadreError {
  return new CadreError("already-exists", `${path}: expected nothing there, found a file`, { details: { path } });
}

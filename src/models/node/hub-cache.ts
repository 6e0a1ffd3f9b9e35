import { copyFile, mkdir, readdir, readFile, stat, statfs, symlink } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { CadreError } from "../../core/errors.js";
import { writeFileAtomic } from "../../core/node/atomic-write.js";
import { systemCodeOf, wrapSystemError } from "../../core/node/system-error.js";
import type { HubId } from "./hub-id.js";

/**
 * One repository in the Hugging Face cache, laid out as by the Python library, so that both share their files:
 * `models--<owner>--<name>` (`datasets--…`) with `blobs/<hash>`, `snapshots/<commit>/<file>` (links to blobs), `refs/<revision>` (a commit).
 */
export interface RepositoryCache {
  /** The bytes of a file, by its hash. */
  readonly blobPath: (hash: string) => string;
  readonly snapshotFolder: (commit: string) => string;
  /** The commit that a revision had when it was last asked for, or the commit itself; undefined when it is not known. */
  readonly commitOf: (revision: string) => Promise<string | undefined>;
  /** Files of a snapshot whose bytes are there; those in folders by their path with slashes. */
  readonly filesOf: (commit: string) => Promise<string[]>;
  /** Makes a blob appear in a snapshot. */
  readonly link: (commit: string, file: string, hash: string) => Promise<void>;
  readonly rememberRevision: (revision: string, commit: string) => Promise<void>;
  /** Makes the folders; refuses when the disk has less room than `bytes`. @throws CadreError `io`. */
  readonly prepare: (commit: string, bytes: number) => Promise<void>;
}

/** The cache of one repository below the cache folder. Nothing is written before `prepare`. */
export function repositoryCache(cacheFolder: string, { type, name }: Pick<HubId, "type" | "name">): RepositoryCache {
  const root = join(cacheFolder, `${type}s--${name.replaceAll("/", "--")}`);
  const blobPath = (hash: string): string => join(root, "blobs", hash);
  const snapshotFolder = (commit: string): string => join(root, "snapshots", commit);
  const refPath = (revision: string): string => join(root, "refs", ...revision.split("/"));
  return {
    blobPath,
    snapshotFolder,
    commitOf: async (revision) => {
      if (isCommit(revision)) return revision;
      const text = await readFile(refPath(revision), "utf8").catch((error: unknown) =>
        absent(error, refPath(revision)),
      );
      return text !== undefined && isCommit(text.trim()) ? text.trim() : undefined;
    },
    filesOf: async (commit) => {
      const folder = snapshotFolder(commit);
      const found = await readdir(folder, { recursive: true }).catch((error: unknown) => absent(error, folder));
      const names = found?.map((name) => name.split(sep).join("/")) ?? [];
      const there = await Promise.all(names.map((file) => hasBytes(join(folder, file))));
      return names.filter((_, index) => there[index] === true).sort();
    },
    link: async (commit, file, hash) => {
      const pointer = join(snapshotFolder(commit), file);
      if (await hasBytes(pointer)) return;
      await makeFolder(dirname(pointer));
      try {
        await symlink(relative(dirname(pointer), blobPath(hash)), pointer).catch((error: unknown) => {
          // Windows lets only some accounts make links.
          if (systemCodeOf(error) === "EPERM") return copyFile(blobPath(hash), pointer);
          if (systemCodeOf(error) !== "EEXIST") throw error;
        });
      } catch (error) {
        throw wrapSystemError(error, `cannot write ${pointer}`);
      }
    },
    rememberRevision: async (revision, commit) => {
      if (isCommit(revision)) return;
      await makeFolder(dirname(refPath(revision)));
      await writeFileAtomic(refPath(revision), commit);
    },
    prepare: async (commit, bytes) => {
      await makeFolder(join(root, "blobs"));
      await makeFolder(snapshotFolder(commit));
      await refuseFullDisk(root, bytes);
    },
  };
}

/** Ids of the models in a cache folder; empty when there is none. */
export async function cachedNames(cacheFolder: string): Promise<string[]> {
  const names = (await readdir(cacheFolder).catch((error: unknown) => absent(error, cacheFolder))) ?? [];
  return names.flatMap((name) => {
    const [kind, owner, model, ...rest] = name.split("--");
    return kind === "models" && owner && model && rest.length === 0 ? [`${owner}/${model}`] : [];
  });
}

/** Whether a revision is a commit by its full hash, which never changes its meaning. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/** Whether there is a file; links are followed. */
export async function hasBytes(path: string): Promise<boolean> {
  return (await stat(path).catch((error: unknown) => absent(error, path)))?.isFile() === true;
}

async function refuseFullDisk(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder).catch((error: unknown) => {
    throw wrapSystemError(error, `cannot measure the room on the disk of ${folder}`);
  });
  if (bavail * bsize < bytes) {
    const gigabytes = (count: number): string => (count / 1e9).toFixed(1);
    throw new CadreError(
      "io",
      `${folder}: the download needs ${gigabytes(bytes)} GB more, the disk has ${gigabytes(bavail * bsize)} GB free. ` +
        "Free space, or set HF_HUB_CACHE to a folder on another disk",
      { details: { needed: bytes, free: bavail * bsize } },
    );
  }
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((error: unknown) => {
    throw wrapSystemError(error, `cannot make ${path}`);
  });
}

function absent(error: unknown, path: string): undefined {
  if (["ENOENT", "ENOTDIR"].includes(systemCodeOf(error) ?? "")) return undefined;
  throw wrapSystemError(error, `cannot read ${path}`);
}

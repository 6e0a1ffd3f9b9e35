import { lstat, mkdir, readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { CadreError } from "../../core/errors.js";
import { nearMiss } from "../../core/near-miss.js";
import { removeFolderAtomic, writeFileAtomic, writeFolderAtomic } from "../../core/node/atomic-write.js";
import { systemCodeOf, wrapSystemError } from "../../core/node/system-error.js";
import type { ExpertKeys } from "../expert-keys.js";
import { expertId, isExpertId, newExpertName, normalizeName } from "../expert-name.js";
import {
  LIBRARY_FORMAT,
  LIBRARY_VERSION,
  type LibraryFile,
  type LibraryRouting,
  MAX_LIBRARY_BYTES,
  parseLibraryFile,
  serializeLibraryFile,
} from "../library-file.js";
import type { BaseReference, ExpertManifest, KeyEncoder } from "../manifest.js";
import { EXPERTS_FOLDER, LIBRARY_FILE } from "../stored-files.js";
import { createFileAtomic } from "./create-file.js";
import {
  type Expert,
  type NewExpert,
  readExpertFolder,
  readExpertKeys,
  readManifest,
  writeExpertFiles,
} from "./expert-folder.js";
import { removeIdleLeftovers } from "./leftovers.js";
import { readPlainFile } from "./plain-file.js";

/** An expert in a library. */
export interface ExpertEntry {
  /** `<slug>-<8 hex>`, made from the name. */
  readonly id: string;
  readonly manifest: ExpertManifest;
}

/** What lies in a library. */
export interface LibraryScan {
  /** Whole manifests on the library's base, by id in ascending order. */
  readonly experts: readonly ExpertEntry[];
  /** Entries that are none of them, and why. */
  readonly problems: readonly { readonly id: string; readonly error: CadreError }[];
}

/**
 * A library on disk. Nothing is remembered between calls and nothing is locked: every call sees what other processes have added or removed
 * by then, and an expert is there whole or not at all.
 */
export interface Library {
  /** Absolute. */
  readonly path: string;
  readonly base: BaseReference;
  /** What embedded the keys; undefined while no expert has any. @throws CadreError as `openLibrary`. */
  readonly keyEncoder: () => Promise<KeyEncoder | undefined>;
  /** How a router searches the keys; undefined while nobody has chosen. @throws CadreError as `openLibrary`. */
  readonly routing: () => Promise<LibraryRouting | undefined>;
  /** Records how a router is to search the keys; unknown fields of an earlier choice stay. @throws CadreError `io`, or as `openLibrary`. */
  readonly setRouting: (routing: LibraryRouting) => Promise<void>;
  /** All experts by id in ascending order. @throws CadreError of the first one that is damaged; `scan` goes on. */
  readonly list: () => Promise<readonly ExpertEntry[]>;
  /** All experts and all problems that their manifests show; the files' content is `verifyLibrary`'s business. */
  readonly scan: () => Promise<LibraryScan>;
  /** An expert by id or name. @throws CadreError `not-found`, naming the one that was probably meant. */
  readonly find: (idOrName: string) => Promise<ExpertEntry>;
  /** An expert with its tensors and keys, every file proven by its hash. @throws CadreError `not-found`, `invalid-file`, `mismatch`, `io`. */
  readonly read: (idOrName: string) => Promise<Expert & { readonly id: string }>;
  /** Only its keys; undefined where it has none. @throws CadreError as `read`. */
  readonly readKeys: (idOrName: string) => Promise<ExpertKeys | undefined>;
  /**
   * Adds an expert; no other is touched. The first one with keys decides the library's key encoder. With `replace` one of the same name, also a
   * damaged one, gives way once the new one has been written.
   * @throws CadreError `already-exists` where the name is taken; `mismatch` for another base or key encoder; `invalid-argument`; `non-finite`;
   * `io`. Nothing is left then.
   */
  readonly add: (
    expert: NewExpert & { readonly base?: BaseReference },
    options?: { readonly replace?: boolean },
  ) => Promise<ExpertEntry>;
  /** Removes an expert, also a damaged one by its id; no other is touched. @throws CadreError `not-found`, `io`. */
  readonly remove: (idOrName: string) => Promise<void>;
}

/** What a library must be for. */
export interface OpenLibraryOptions {
  /** Refuse a library for another base than the one with this hash (see `hashBase`); default: any is opened. */
  readonly base?: { readonly id?: string; readonly hash: string };
}

/**
 * Makes a library, with the folders that lead to it.
 * @throws CadreError `already-exists` where there is one; `io`.
 */
export async function createLibrary(path: string, { base }: { readonly base: BaseReference }): Promise<Library> {
  const root = resolve(path);
  const file = parseLibraryFile(
    Buffer.from(
      serializeLibraryFile({
        format: LIBRARY_FORMAT,
        formatVersion: LIBRARY_VERSION,
        base,
        created: new Date().toISOString(),
      }),
    ),
    { where: "createLibrary" },
  );
  await makeFolder(join(root, EXPERTS_FOLDER));
  await createFileAtomic(join(root, LIBRARY_FILE), serializeLibraryFile(file));
  return openLibrary(root, { base });
}

/**
 * Opens a library for a base, or makes it where there is none.
 * @throws CadreError as `openLibrary` and `createLibrary`.
 */
export async function openOrCreateLibrary(path: string, { base }: { readonly base: BaseReference }): Promise<Library> {
  try {
    return await openLibrary(path, { base });
  } catch (error) {
    if (!(CadreError.isInstance(error) && error.code === "not-found")) throw error;
  }
  try {
    return await createLibrary(path, { base });
  } catch (error) {
    // Another process was quicker.
    if (CadreError.isInstance(error) && error.code === "already-exists") return openLibrary(path, { base });
    throw error;
  }
}

/**
 * Opens a library.
 * @throws CadreError `not-found`; `invalid-file` for what is none; `mismatch` for a newer format or another base; `io`.
 */
export async function openLibrary(path: string, { base: wanted }: OpenLibraryOptions = {}): Promise<Library> {
  const root = resolve(path);
  const experts = join(root, EXPERTS_FOLDER);
  const { base } = await readLibraryFile(root);
  if (wanted !== undefined) checkBase(base, { found: wanted, where: root });
  const pathOf = (id: string): string => join(experts, id);
  let cleaned = false;

  async function scan(): Promise<LibraryScan> {
    const { keyEncoder } = await readLibraryFile(root);
    const found: ExpertEntry[] = [];
    const problems: { id: string; error: CadreError }[] = [];
    for (const id of await idsIn(experts)) {
      try {
        found.push({ id, manifest: await readEntry(pathOf(id), { id, base, keyEncoder }) });
      } catch (error) {
        if (!CadreError.isInstance(error)) throw error;
        // Removed between the two looks.
        if (await exists(pathOf(id))) problems.push({ id, error });
      }
    }
    return { experts: found, problems };
  }

  async function list(): Promise<readonly ExpertEntry[]> {
    const { experts: found, problems } = await scan();
    const [first] = problems;
    if (first !== undefined) {
      throw new CadreError(
        first.error.code,
        `${first.error.message}\n(cadre experts verify lists all problems of a library; cadre experts remove takes the id of a damaged expert)`,
        { cause: first.error, details: first.error.details },
      );
    }
    return found;
  }

  async function find(text: string): Promise<ExpertEntry> {
    for (const id of [text, await expertId(text)]) {
      if (isExpertId(id) && (await exists(pathOf(id)))) {
        const { keyEncoder } = await readLibraryFile(root);
        return { id, manifest: await readEntry(pathOf(id), { id, base, keyEncoder }) };
      }
    }
    throw unknownExpert(text, await scan());
  }

  async function recordEncoder(encoder: KeyEncoder): Promise<void> {
    const file = await readLibraryFile(root);
    if (file.keyEncoder === undefined) {
      await writeLibraryFile(root, { ...file, keyEncoder: encoder });
    } else {
      checkEncoder(file.keyEncoder, { found: encoder, where: root });
    }
  }

  function unknownExpert(text: string, { experts: found }: LibraryScan): CadreError {
    const known = found.flatMap(({ id, manifest }) => [manifest.name, id]);
    const meant = nearMiss(text, known);
    const hint =
      meant === undefined
        ? `it has ${found.length === 0 ? "none" : found.slice(0, 10).map(({ manifest }) => JSON.stringify(manifest.name))}${found.length > 10 ? " and more" : ""}`
        : `did you mean ${JSON.stringify(meant)}?`;
    return new CadreError("not-found", `${root}: no expert ${JSON.stringify(normalizeName(text))}; ${hint}`, {
      details: { path: root, expert: text },
    });
  }

  return {
    path: root,
    base,
    keyEncoder: async () => (await readLibraryFile(root)).keyEncoder,
    routing: async () => (await readLibraryFile(root)).routing,
    async setRouting(routing) {
      const file = await readLibraryFile(root);
      await writeLibraryFile(root, { ...file, routing: { ...file.routing, ...routing } });
    },
    list,
    scan,
    find,

    async read(idOrName) {
      const { id } = await find(idOrName);
      return { id, ...(await readExpertFolder(pathOf(id))) };
    },

    async readKeys(idOrName) {
      const { id, manifest } = await find(idOrName);
      return readExpertKeys(pathOf(id), manifest);
    },

    async add({ base: foreign, ...expert }, { replace = false } = {}) {
      const name = newExpertName(expert.manifest.name);
      const id = await expertId(name);
      const where = `${root}: the expert ${JSON.stringify(name)}`;
      if (foreign !== undefined) checkBase(base, { found: foreign, where });
      if (!replace) await refuseTaken(pathOf(id), { name, root, id });
      if (!cleaned) {
        cleaned = true;
        // A courtesy: what another user left and this one may not remove is no reason to refuse an expert.
        await Promise.allSettled([removeIdleLeftovers(experts), removeIdleLeftovers(root)]);
      }
      if (expert.keys !== undefined) await recordEncoder(expert.keys.encoder);
      await makeFolder(experts);
      const written: ExpertManifest[] = [];
      try {
        await writeFolderAtomic(
          pathOf(id),
          async (temporary) => {
            written.push(await writeExpertFiles(temporary, { ...expert, base }));
          },
          { replace },
        );
      } catch (error) {
        // Another process was quicker.
        if (CadreError.isInstance(error) && error.code === "already-exists") throw taken({ name, root, id });
        throw error;
      }
      const [manifest] = written;
      if (manifest === undefined) throw new CadreError("internal", `${where} was not written`);
      return { id, manifest };
    },

    async remove(idOrName) {
      for (const id of [idOrName, await expertId(idOrName)]) {
        if (isExpertId(id) && (await exists(pathOf(id)))) return removeFolderAtomic(pathOf(id));
      }
      throw unknownExpert(idOrName, await scan());
    },
  };
}

/** Reads `library.json`. @throws CadreError as `openLibrary`. */
async function readLibraryFile(root: string): Promise<LibraryFile> {
  const where = join(root, LIBRARY_FILE);
  const bytes = await readPlainFile(where, { maxBytes: MAX_LIBRARY_BYTES }).catch((error: unknown) => {
    if (CadreError.isInstance(error) && error.code === "not-found") {
      throw new CadreError("not-found", `${root}: expected a library with ${LIBRARY_FILE}, found none`, {
        details: { path: root },
        cause: error,
      });
    }
    throw error;
  });
  return parseLibraryFile(bytes, { where });
}

function writeLibraryFile(root: string, file: LibraryFile): Promise<void> {
  return writeFileAtomic(join(root, LIBRARY_FILE), serializeLibraryFile(file));
}

/** The manifest of an entry, checked against its folder's name and the library. */
async function readEntry(
  folder: string,
  {
    id,
    base,
    keyEncoder,
  }: { readonly id: string; readonly base: BaseReference; readonly keyEncoder: KeyEncoder | undefined },
): Promise<ExpertManifest> {
  await requireFolder(folder);
  const manifest = await readManifest(folder);
  const expected = await expertId(manifest.name);
  if (expected !== id) {
    throw new CadreError(
      "invalid-file",
      `${folder}: expected the folder of ${JSON.stringify(manifest.name)} to be called ${expected}; add it by cadre experts add instead of copying it`,
      { details: { path: folder, expected } },
    );
  }
  checkBase(base, { found: manifest.base, where: folder });
  if (manifest.keys !== undefined && keyEncoder !== undefined) {
    checkEncoder(keyEncoder, { found: manifest.keys.encoder, where: folder });
  }
  return manifest;
}

/** Names of experts' folders, ascending; temporary names and everything else are left out. */
export async function idsIn(experts: string): Promise<string[]> {
  const names = await readdir(experts).catch((error: unknown): string[] => {
    if (systemCodeOf(error) === "ENOENT") return [];
    throw wrapSystemError(error, `cannot read ${experts}`);
  });
  if (names.length > 0) await requireFolder(experts);
  return names.filter(isExpertId).sort();
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((error: unknown) => {
    throw wrapSystemError(error, `cannot make ${path}`);
  });
}

async function requireFolder(path: string): Promise<void> {
  const found = await lstat(path).catch((error: unknown) => {
    throw wrapSystemError(error, `cannot read ${path}`);
  });
  if (!found.isDirectory()) {
    const kind = found.isSymbolicLink() ? "a symbolic link" : "a file";
    throw new CadreError("invalid-file", `${path}: expected a folder of its own, found ${kind}`, { details: { path } });
  }
}

function checkBase(
  expected: BaseReference,
  { found, where }: { readonly found: { readonly id?: string; readonly hash: string }; readonly where: string },
): void {
  if (found.hash === expected.hash) return;
  const named = ({ id, hash }: { readonly id?: string; readonly hash: string }): string =>
    `${id === undefined ? "" : `${JSON.stringify(id)} `}(hash ${hash.slice(0, 16)}…)`;
  throw new CadreError(
    "mismatch",
    `${where}: expected the base ${named(expected)} of the library, found ${named(found)}; an expert only works on the base that it was trained on`,
    { details: { path: where, expected: expected.hash, found: found.hash } },
  );
}

function checkEncoder(
  expected: KeyEncoder,
  { found, where }: { readonly found: KeyEncoder; readonly where: string },
): void {
  if (isDeepStrictEqual(expected, found)) return;
  throw new CadreError(
    "mismatch",
    `${where}: expected keys of the library's encoder ${JSON.stringify(expected)}, found ${JSON.stringify(found)}; keys of two encoders cannot be compared: add the expert without its keys, or embed them anew`,
    { details: { path: where } },
  );
}

async function refuseTaken(
  path: string,
  expert: { readonly name: string; readonly root: string; readonly id: string },
) {
  if (await exists(path)) throw taken(expert);
}

function taken({ name, root, id }: { readonly name: string; readonly root: string; readonly id: string }): CadreError {
  return new CadreError(
    "already-exists",
    `${root}: expected no expert ${JSON.stringify(name)}, found one (${id}); remove it first, or choose another name`,
    { details: { path: root, id } },
  );
}

function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

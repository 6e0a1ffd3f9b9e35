import { readdir, stat } from "node:fs/promises";
import { basename, extname, join, resolve } from "node:path";
import { CadreError } from "../../core/errors.js";
import { wrapSystemError } from "../../core/node/system-error.js";
import { splitOf } from "../build-user-task.js";
import { SPLITS, type SplitName } from "../user-task.js";
import { ROW_READERS } from "./file-rows.js";

/** A file that is left out, and why. */
export interface SkippedFile {
  readonly file: string;
  readonly reason: string;
}

/** The files of a task. */
export interface TaskFiles {
  readonly name: string;
  /** With their split where the files' names say it. */
  readonly files: readonly { readonly path: string; readonly split?: SplitName }[];
  /** Why the task cannot be read. */
  readonly problem?: string;
}

/** The tasks that lie at some paths. */
export interface FoundTasks {
  readonly tasks: readonly TaskFiles[];
  readonly skipped: readonly SkippedFile[];
}

const LIBRARY_FILE = "library.json";
/** What the parts of one split are called by those who cut it into several files, e.g. `train-00000-of-00002.parquet`. */
const SHARD = /-\d{1,6}-of-\d{1,6}$/;
const ENDINGS = Object.keys(ROW_READERS).join(", ");

/**
 * Finds tasks: a data file is one, named after it; a folder with a file `train.*` is one, with `validation.*` and `test.*` beside it; another folder holds
 * such files and folders, and nothing below them is looked at. Hidden files and libraries of experts are passed over, all else is named.
 * @throws CadreError `not-found`; `io`; `unsupported` for a path that is neither a folder nor a data file, and for a library.
 */
export async function findUserTasks(paths: readonly string[]): Promise<FoundTasks> {
  const tasks: TaskFiles[] = [];
  const skipped: SkippedFile[] = [];
  for (const path of paths) {
    const entry = await entryOf(path);
    if (entry.kind === "file") {
      if (!isDataFile(path)) throw new CadreError("unsupported", `${path}: expected a file that ends in ${ENDINGS}`);
      tasks.push({ name: taskName(stem(path)), files: [{ path }] });
    } else if (entry.kind === "folder") {
      await findInFolder(path, true);
    } else {
      throw new CadreError("unsupported", `${path}: expected a file or a folder`);
    }
  }
  return { tasks: withoutEqualNames(tasks), skipped };

  async function findInFolder(folder: string, isNamed: boolean): Promise<void> {
    const names = await listFolder(folder);
    if (names.includes(LIBRARY_FILE)) {
      if (!isNamed) return;
      throw new CadreError(
        "unsupported",
        `${folder}: expected a folder of tasks, found a library of experts (${LIBRARY_FILE})`,
      );
    }
    const files: string[] = [];
    const folders: string[] = [];
    for (const path of names.map((name) => join(folder, name))) {
      const entry = await entryOf(path).catch((error: unknown) => ({ kind: "broken" as const, error }));
      if (entry.kind === "folder") folders.push(path);
      else if (entry.kind === "file" && isDataFile(path)) files.push(path);
      else if (entry.kind === "file") skipped.push({ file: path, reason: `its name does not end in ${ENDINGS}` });
      else
        skipped.push({ file: path, reason: entry.kind === "broken" ? String(entry.error) : "it is no regular file" });
    }
    if (files.some((path) => splitOfFile(path) === "train")) {
      tasks.push(splitFiles(folder, files));
      for (const path of folders) skipped.push({ file: path, reason: "a task's folder holds no other folders" });
    } else if (isNamed) {
      for (const path of files) tasks.push({ name: taskName(stem(path)), files: [{ path }] });
      for (const path of folders) await findInFolder(path, false);
    } else {
      skipped.push({ file: folder, reason: "a folder within a folder is a task only if it holds a train file" });
    }
  }

  function splitFiles(folder: string, paths: readonly string[]): TaskFiles {
    const trainFile = basename(paths.find((path) => splitOfFile(path) === "train") ?? "train");
    const files = paths.flatMap((path) => {
      const split = splitOfFile(path);
      if (split !== undefined) return [{ path, split }];
      skipped.push({
        file: path,
        reason: `the folder is one task, as it holds ${trainFile}: beside train, validation and test no other file is read; move it if it is a task of its own`,
      });
      return [];
    });
    const name = taskName(basename(resolve(folder)));
    for (const split of SPLITS) {
      const same = files.filter((file) => file.split === split).map(({ path }) => path);
      if (
        same.length > 1 &&
        !(new Set(same.map((path) => stem(path).replace(SHARD, ""))).size === 1 && same.every(isShard))
      ) {
        return {
          name,
          files,
          problem: `${folder}: expected one file for ${split}, found ${same.map((path) => basename(path)).join(", ")}`,
        };
      }
    }
    return { name, files };
  }
}

function withoutEqualNames(tasks: readonly TaskFiles[]): TaskFiles[] {
  const first = new Map<string, TaskFiles>();
  return tasks.map((task) => {
    const other = first.get(task.name);
    if (other === undefined) {
      first.set(task.name, task);
      return task;
    }
    const [here, there] = [task, other].map(({ files }) => files[0]?.path);
    return {
      ...task,
      problem: `${here}: expected tasks of different names, found ${task.name} in ${there} too; rename one`,
    };
  });
}

async function entryOf(path: string): Promise<{ readonly kind: "file" | "folder" | "other" }> {
  try {
    const status = await stat(path);
    return { kind: status.isFile() ? "file" : status.isDirectory() ? "folder" : "other" };
  } catch (error) {
    throw wrapSystemError(error, `cannot read ${path}`);
  }
}

/** The names in a folder by code units, without hidden ones. */
async function listFolder(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => !name.startsWith(".")).sort();
  } catch (error) {
    throw wrapSystemError(error, `cannot read ${folder}`);
  }
}

function isDataFile(path: string): boolean {
  return Object.hasOwn(ROW_READERS, extname(path).toLowerCase());
}

function stem(path: string): string {
  return basename(path, extname(path));
}

function isShard(path: string): boolean {
  return SHARD.test(stem(path));
}

function splitOfFile(path: string): SplitName | undefined {
  return splitOf(stem(path).replace(SHARD, ""));
}

/** Some systems write the same accents in another way than people type them. */
function taskName(name: string): string {
  return name.normalize("NFC");
}

import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { CadreError, throwIfAborted } from "../../core/errors.js";
import { wrapSystemError } from "../../core/node/system-error.js";
import type { Task } from "../task.js";
import { readInstructions } from "./read-instructions.js";

/** Options of {@link readNaturalInstructions}. */
export interface NaturalInstructionsOptions {
  /** Of which list in `splits/default` the tasks are, e.g. `train` for `train_tasks.txt`; default all tasks of the folder. */
  readonly split?: string;
  readonly signal?: AbortSignal;
}

/** The tasks of a folder of Natural Instructions. */
export interface NaturalInstructions {
  /** By name. */
  readonly tasks: readonly Task[];
  /** Instances that were left out, with file, place and reason: an empty input, or no answer. */
  readonly problems: readonly string[];
  /** Tasks that the list names and the folder lacks. */
  readonly absent: readonly string[];
}

/**
 * Reads a copy of Natural Instructions, version 1 (`tasks/subtask001_….json`) or 2 (Super-NaturalInstructions: `tasks/task001_….json` and lists of
 * tasks in `splits/default`). Positive and negative examples are not read.
 * @throws CadreError `not-found` for the folder or the list, and for a list of which no task is there; `io`; `invalid-file` for a broken file; `aborted`.
 */
export async function readNaturalInstructions(
  folder: string,
  { split, signal }: NaturalInstructionsOptions = {},
): Promise<NaturalInstructions> {
  const tasksFolder = join(folder, "tasks");
  const there = await namesIn(tasksFolder);
  const names = split === undefined ? there : await namesOf(join(folder, "splits", "default", `${split}_tasks.txt`));
  const known = new Set(there);
  const absent = names.filter((name) => !known.has(name));
  if (names.length === absent.length) {
    throw new CadreError(
      "not-found",
      `${tasksFolder}: expected tasks${split ? ` of the split ${split}` : ""}, found none`,
    );
  }
  const tasks: Task[] = [];
  const problems: string[] = [];
  for (const name of names.filter((one) => known.has(one)).sort()) {
    throwIfAborted(signal);
    const onBadInstance = (problem: string) => problems.push(problem);
    tasks.push(await readInstructions(join(tasksFolder, `${name}.json`), { onBadInstance }));
  }
  return { tasks, problems, absent };
}

async function namesIn(folder: string): Promise<string[]> {
  const files = await readdir(folder).catch((error: unknown) => {
    throw wrapSystemError(error, `cannot read ${folder}`);
  });
  return files.filter((file) => file.endsWith(".json")).map((file) => basename(file, ".json"));
}

async function namesOf(path: string): Promise<string[]> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw wrapSystemError(error, `cannot read ${path}`);
  });
  return [...new Set(text.split("\n").map((line) => line.trim()))].filter((line) => line !== "");
}

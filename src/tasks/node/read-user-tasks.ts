import { extname } from "node:path";
import { CadreError, type ErrorCode, throwIfAborted } from "../../core/errors.js";
import { createUserTaskBuilder, type UserTaskOptions } from "../build-user-task.js";
import type { UserTask } from "../user-task.js";
import { ROW_READERS } from "./file-rows.js";
import { findUserTasks, type SkippedFile, type TaskFiles } from "./find-user-tasks.js";

/** Options of {@link readUserTasks}; `strict` also refuses what would be skipped. */
export interface ReadUserTasksOptions extends Omit<UserTaskOptions, "seed"> {
  /** Decides made splits, in [0, 2^32); default 1. */
  readonly seed?: number;
  /** Stops the reading. */
  readonly signal?: AbortSignal;
}

/** A task that could not be read. */
export interface FailedTask {
  readonly name: string;
  readonly files: readonly string[];
  /** Where, what was expected, what was found, what to do. */
  readonly reason: string;
}

/** What lies at a person's paths. */
export interface UserTasks {
  /** By the order of the paths, then by name. One may have no good rows at all: see its problems. */
  readonly tasks: readonly UserTask[];
  readonly failed: readonly FailedTask[];
  /** Files and folders that are no tasks; hidden ones and libraries are not listed. */
  readonly skipped: readonly SkippedFile[];
}

/** Errors of one task's data, beside which the other tasks go on. */
const TASK_ERRORS: ReadonlySet<ErrorCode> = new Set(["invalid-file", "unsupported", "not-found", "io"]);

/**
 * Reads a person's own tasks: files and folders of JSONL (`.ndjson` too), JSON lists, CSV, TSV and Parquet, see docs/your-data.md. Bad rows are counted with
 * file and line. A task that cannot be read at all is listed, unless it is the only one.
 * @throws CadreError `not-found`; `io`; `unsupported` and `invalid-file` where there is no task, or with `strict` for the first bad row, failing task or
 * skipped file; `invalid-config` for a wrong template or wrong choices; `aborted`.
 */
export async function readUserTasks(
  path: string | readonly string[],
  { signal, ...options }: ReadUserTasksOptions = {},
): Promise<UserTasks> {
  const paths = typeof path === "string" ? [path] : path;
  const { tasks: found, skipped } = await findUserTasks(paths);
  if (options.strict === true) expectNoneSkipped(skipped);
  const tasks: UserTask[] = [];
  const failed: FailedTask[] = [];
  for (const task of found) {
    try {
      tasks.push(await readTask(task, options, signal));
    } catch (error) {
      const isOfTask = CadreError.isInstance(error) && TASK_ERRORS.has(error.code);
      if (!isOfTask || options.strict === true || found.length === 1) throw error;
      failed.push({ name: task.name, files: task.files.map((file) => file.path), reason: error.message });
    }
  }
  if (tasks.length > 0) return { tasks, failed, skipped };
  const reasons = [...failed.map(({ reason }) => reason), ...skipped.map(({ file, reason }) => `${file}: ${reason}`)];
  const listed = reasons.slice(0, 5).map((reason) => `\n  ${reason}`);
  throw new CadreError(
    "invalid-file",
    `${paths.join(", ")}: expected at least one task (${Object.keys(ROW_READERS).join(", ")}), found none${listed.join("")}`,
  );
}

function expectNoneSkipped([first, ...others]: readonly SkippedFile[]): void {
  if (first === undefined) return;
  const more = others.length === 0 ? "" : ` (and ${others.length} more)`;
  throw new CadreError(
    "unsupported",
    `${first.file}: expected a part of a task, as strict reading skips nothing, found something else${more}: ${first.reason}`,
  );
}

async function readTask(
  { name, files, problem }: TaskFiles,
  options: Omit<ReadUserTasksOptions, "signal">,
  signal: AbortSignal | undefined,
): Promise<UserTask> {
  const builder = createUserTaskBuilder(name, { ...options, seed: options.seed ?? 1 });
  if (problem !== undefined) throw new CadreError("invalid-file", problem);
  for (const { path, split } of files) {
    const read = ROW_READERS[extname(path).toLowerCase()];
    if (read === undefined) throw new CadreError("unsupported", `${path}: no data file`);
    let isEmpty = true;
    for await (const rows of read(path, signal)) {
      throwIfAborted(signal);
      isEmpty &&= rows.length === 0;
      for (const row of rows) {
        const place = { file: path, line: row.line };
        if ("row" in row) builder.addRow(row.row, place, split);
        else builder.addProblem(place, row.problem);
      }
    }
    if (isEmpty) throw new CadreError("invalid-file", `${path}: expected rows, found none`);
  }
  return builder.finish(files.map(({ path }) => path));
}

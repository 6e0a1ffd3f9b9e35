import { basename, extname } from "node:path";
import { readJson } from "../../core/node/json.js";
import { parseInstructions } from "../instructions.js";
import type { Task } from "../task.js";

/** Options of {@link readInstructions}. */
export interface ReadInstructionsOptions {
  /** Name of the task; default the file's name without its ending. */
  readonly name?: string;
  /** The answers to choose from; without them the task has no choices. */
  readonly choices?: readonly string[];
  /** Told of each bad instance, which is left out then; without it the first one is an error. */
  readonly onBadInstance?: (problem: string) => void;
}

/**
 * Reads a `{ Definition, Instances }` document, of 256 MiB at most, as a task; see {@link parseInstructions}. `NaN`, which Python writes into
 * fields that have no value, is read as null.
 * @throws CadreError `not-found`; `io`; `invalid-file` with the file and the line, or the file and the instance.
 */
export async function readInstructions(path: string, options: ReadInstructionsOptions = {}): Promise<Task> {
  const name = options.name ?? basename(path, extname(path));
  return parseInstructions(await readJson(path, { nonFiniteAsNull: true }), { ...options, name, where: path });
}

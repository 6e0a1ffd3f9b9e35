import { readJson } from "../../core/node/json.js";
import { parseBigBenchTask } from "../big-bench.js";
import type { Task } from "../task.js";

/** Reads a BIG-bench `task.json`, multiple choice or generative; see {@link parseBigBenchTask}. @throws CadreError `not-found`; `io`; `invalid-file`. */
export async function readBigBenchTask(path: string): Promise<Task> {
  return parseBigBenchTask(await readJson(path), path);
}

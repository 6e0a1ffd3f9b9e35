import { writeFileAtomic } from "../../core/node/atomic-write.js";
import { readJson } from "../../core/node/json.js";
import { type EvaluationResults, parseResults } from "../results-schema.js";

/**
 * Writes results so that the path holds either its old content or all of the new one.
 * @throws CadreError `invalid-file` for results that contradict themselves; `not-found`, `io`.
 */
export async function writeResults(path: string, results: EvaluationResults): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify(parseResults(results, path))}\n`);
}

/** @throws CadreError `not-found`; `invalid-file` and `unsupported` as `parseResults`; `io`. */
export async function readResults(path: string): Promise<EvaluationResults> {
  return parseResults(await readJson(path), path);
}

import { fileURLToPath } from "node:url";
import { type EndedProcess, type RunProcessOptions, runProcess } from "../core/node/run-process.test.helpers.js";

const main = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));

/** How a command ended, and what it wrote. */
export type Ended = EndedProcess;

/** Runs the built command line in a process of its own. */
export function runCadre(flags: readonly string[], options: RunProcessOptions = {}): Promise<Ended> {
  return runProcess(process.execPath, [main, ...flags], options);
}

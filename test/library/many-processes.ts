import { spawn } from "node:child_process";
import { once } from "node:events";
import { watch } from "node:fs";
import { readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const CHILD = fileURLToPath(new URL("../../dist/test/library/add-experts-child.js", import.meta.url));

/** What a process is to do. */
export interface AddOptions {
  readonly library: string;
  readonly prefix: string;
  readonly count: number;
  /** Numbers in each expert's tensor; default 6. */
  readonly numbers?: number;
  /** Kill it so many milliseconds after the n-th temporary name appears. */
  readonly kill?: { readonly which: number; readonly milliseconds: number };
}

/** Adds experts in a process of its own. @returns the names of those that it says it added, and whether it was killed. */
export async function addInProcess(
  options: AddOptions,
): Promise<{ readonly names: string[]; readonly killed: boolean }> {
  const { library, prefix, count, numbers = 6, kill } = options;
  const child = spawn(process.execPath, [CHILD, library, prefix, String(count), String(numbers)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let errors = "";
  child.stdout.on("data", (text) => {
    output += String(text);
  });
  child.stderr.on("data", (text) => {
    errors += String(text);
  });
  const seen = new Set<string>();
  const watcher = watch(`${library}/experts`, (_, name) => {
    if (kill === undefined || name?.startsWith(".tmp-") !== true || seen.has(name)) return;
    seen.add(name);
    if (seen.size !== kill.which) return;
    // Timers are too coarse for what lasts microseconds.
    const until = performance.now() + kill.milliseconds;
    while (performance.now() < until);
    child.kill("SIGKILL");
  });
  const [code, signal] = await once(child, "close");
  watcher.close();
  if (signal !== "SIGKILL" && code !== 0) throw new Error(`the process failed with ${code ?? signal}: ${errors}`);
  return { names: output.split("\n").filter((name) => name !== ""), killed: signal === "SIGKILL" };
}

/** Names of the experts' folders, leftovers included. */
export function entriesOf(library: string): Promise<string[]> {
  return readdir(`${library}/experts`);
}

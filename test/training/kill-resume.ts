import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { watch } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const CHILD = fileURLToPath(new URL("../../dist/test/training/kill-resume-child.js", import.meta.url));

/** When a child is killed. */
export type KillPoint =
  /** So many milliseconds after the training has started. */
  | { readonly kind: "time"; readonly milliseconds: number }
  /** So many milliseconds after a temporary name appears among the checkpoints: while one is written, flushed or renamed. */
  | { readonly kind: "save"; readonly milliseconds: number; readonly which: number };

/** Starts the training in a folder and waits for its end. @returns whether it was killed; a fast one may finish first. */
export async function runChild(
  folder: string,
  options: { readonly stepsPerRun: number; readonly threads: number; readonly kill?: KillPoint },
): Promise<boolean> {
  const checkpoints = join(folder, "checkpoints");
  await mkdir(checkpoints, { recursive: true });
  const { stepsPerRun, threads, kill } = options;
  const child = spawn(process.execPath, [CHILD, folder, String(stepsPerRun), String(threads)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let errors = "";
  let timer: NodeJS.Timeout | undefined;
  child.stderr.on("data", (text) => {
    errors += text;
  });
  child.stdout.on("data", (text) => {
    output += text;
    if (kill?.kind === "time" && timer === undefined) {
      timer = setTimeout(() => child.kill("SIGKILL"), kill.milliseconds);
    }
  });
  const stopWatching = kill?.kind === "save" ? killAtSave(child, { ...kill, checkpoints }) : undefined;
  const [code, signal] = await once(child, "close");
  clearTimeout(timer);
  stopWatching?.();
  if (signal !== "SIGKILL" && (code !== 0 || !output.includes("finished"))) {
    throw new Error(`the training failed with ${code ?? signal}: ${errors}`);
  }
  return signal === "SIGKILL";
}

function killAtSave(
  child: ChildProcess,
  options: { readonly checkpoints: string; readonly milliseconds: number; readonly which: number },
): () => void {
  const seen = new Set<string>();
  const watcher = watch(options.checkpoints, (_, name) => {
    if (name?.startsWith(".tmp-") !== true || seen.has(name)) {
      return;
    }
    seen.add(name);
    if (seen.size === options.which) {
      // Timers are too coarse for what lasts microseconds.
      const until = performance.now() + options.milliseconds;
      while (performance.now() < until);
      child.kill("SIGKILL");
    }
  });
  return () => watcher.close();
}

/** See `outcomeOf`. */
export interface Outcome {
  readonly metrics: readonly Readonly<Record<string, unknown>>[];
  readonly result: { readonly step: number; readonly tensors: Readonly<Record<string, string>> };
}

/** What must not depend on kills: tensors, and every line of the metrics that tells of the training itself, without times and paths. */
export async function outcomeOf(folder: string): Promise<Outcome> {
  const lines = (await readFile(join(folder, "metrics.jsonl"), "utf8")).trimEnd().split("\n");
  const metrics = lines
    .map((line) => JSON.parse(line))
    .filter(({ type }) => type !== "checkpoint-saved")
    .map(({ seconds, ...rest }) => rest);
  return { metrics, result: JSON.parse(await readFile(join(folder, "result.json"), "utf8")) };
}

/** What the last kill left among the checkpoints. */
async function leftoversOf(folder: string): Promise<string> {
  const checkpoints = join(folder, "checkpoints");
  const kinds = await Promise.all(
    (await readdir(checkpoints))
      .filter((name) => name.startsWith(".tmp-"))
      .map(async (name) => {
        const inside = (await readdir(join(checkpoints, name))).map((file) =>
          file.startsWith(".tmp-") ? "a part" : file,
        );
        return inside.length === 0 ? "empty folder" : inside.sort().join(" + ");
      }),
  );
  return kinds.join(", ") || "nothing";
}

/** A training whose processes are killed. */
export interface KilledTraining {
  readonly outcome: Outcome;
  /** How many kills there were, by their kind and what they left. */
  readonly kills: ReadonlyMap<string, number>;
}

/** Trains from nothing to the end in a folder, with four steps a run on two threads and kills wherever `next` says. */
export async function trainKilled(folder: string, next: () => KillPoint | undefined): Promise<KilledTraining> {
  const options = { stepsPerRun: 4, threads: 2 };
  const kills = new Map<string, number>();
  for (;;) {
    const kill = next();
    if (!(await runChild(folder, kill === undefined ? options : { ...options, kill }))) {
      return { outcome: await outcomeOf(folder), kills };
    }
    const left = `${kill?.kind}: ${await leftoversOf(folder)}`;
    kills.set(left, (kills.get(left) ?? 0) + 1);
  }
}

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { DeltaConfig } from "../src/experts/delta-config.js";
import type { SizeRun, SizeRunOptions } from "./size-run.js";

type Configuration = Omit<SizeRunOptions, "folder" | "action" | "recompute">;

const common = {
  model_type: "t5",
  d_kv: 64,
  feed_forward_proj: "gated-gelu",
  vocab_size: 32128,
  tie_word_embeddings: false,
};
/** T5 v1.1 as the config.json of google/t5-v1_1-base and -large have it. */
const base = { ...common, d_model: 768, d_ff: 2048, num_heads: 12, num_layers: 12, num_decoder_layers: 12 };
const large = { ...common, d_model: 1024, d_ff: 2816, num_heads: 16, num_layers: 24, num_decoder_layers: 24 };
/** For `--smoke`. */
const tiny = { ...common, d_model: 64, d_ff: 128, num_heads: 2, num_layers: 2, num_decoder_layers: 2, vocab_size: 500 };

const once = { steps: 3, stepsPerRun: 1 };
const delta = { kind: "lora", config: { rank: 16, alpha: 16, targets: ["q", "v"] } } satisfies DeltaConfig;

function configurations(smoke: boolean): Readonly<Record<string, Configuration>> {
  const batch = (rows: number) =>
    smoke
      ? { rows: 2, inputLength: 32, targetLength: 16, sequences: 4 }
      : { rows, inputLength: 512, targetLength: 128, sequences: 4 };
  return {
    "T5-base, all weights, 8×512": { config: smoke ? tiny : base, batch: batch(8), optimizer: "adafactor", ...once },
    "T5-large, LoRA, 4×512": { config: smoke ? tiny : large, batch: batch(4), optimizer: "adamw", delta, ...once },
  };
}

/** Peak memory and time of larger models, with and without recomputation, beside what is predicted; each in a process of its own. */
export async function benchSize({ json, smoke }: { readonly json: boolean; readonly smoke: boolean }): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "cadre-size-"));
  const runs: (SizeRun & { readonly name: string; readonly recompute: boolean })[] = [];
  try {
    if (!json) {
      console.log("training                      recompute   peak memory   steps alone   predicted   s/step");
    }
    for (const [name, configuration] of Object.entries(configurations(smoke))) {
      await runInChild({ ...configuration, folder, action: "write", recompute: false });
      for (const recompute of [true, false]) {
        const run: SizeRun = JSON.parse(await runInChild({ ...configuration, folder, action: "train", recompute }));
        runs.push({ name, recompute, ...run });
        if (!json) {
          const columns = [
            name.padEnd(29),
            (recompute ? "yes" : "no").padEnd(9),
            `${(run.peakBytes / 1e9).toFixed(2)} GB`.padStart(13),
            `${(stepBytesOf(run) / 1e9).toFixed(2)} GB`.padStart(13),
            `${(run.predictedBytes / 1e9).toFixed(2)} GB`.padStart(11),
            secondsOf(run).toFixed(2).padStart(8),
          ];
          console.log(columns.join(" "));
        }
      }
      const [less, more] = runs.slice(-2);
      if (!json && less !== undefined && more !== undefined) {
        const memory = (less.peakBytes / more.peakBytes).toFixed(2);
        const ofSteps = (stepBytesOf(less) / stepBytesOf(more)).toFixed(2);
        const time = (secondsOf(less) / secondsOf(more)).toFixed(2);
        console.log(
          `  with recomputation: ${memory} of the memory, ${ofSteps} of what the steps take, ${time} of the time`,
        );
      }
    }
    if (json) {
      console.log(JSON.stringify({ runs: runs.map((run) => ({ ...run, stepSeconds: secondsOf(run) })) }, null, 2));
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What the steps add to what is resident before them. */
function stepBytesOf({ peakBytes, startBytes }: SizeRun): number {
  return peakBytes - startBytes;
}

/** Of the fastest step: the first touches fresh memory, any may be disturbed. */
function secondsOf({ seconds }: SizeRun): number {
  return Math.min(...seconds);
}

/** Runs the compiled `size-run` and returns what it prints; a test calls this from the sources. */
export function runInChild(options: SizeRunOptions): Promise<string> {
  const folder = import.meta.url.endsWith(".ts") ? "../dist/bench/" : "./";
  const script = fileURLToPath(new URL(`${folder}size-run.js`, import.meta.url));
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, JSON.stringify(options)], { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.setEncoding("utf8");
    child.stdout.on("data", (chunk: string) => {
      output += chunk;
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) {
        resolve(output);
      } else {
        reject(new Error(`bench size ended with code ${code}`));
      }
    });
  });
}

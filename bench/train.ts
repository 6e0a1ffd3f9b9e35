import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { initialTensors } from "../src/models/initialize.js";
import { saveModelFolder } from "../src/models/node/model-folder.js";
import { parseT5Config } from "../src/models/t5/config.js";
import { createT5 } from "../src/models/t5/t5.js";
import { measureGemmPeak } from "../src/runtime/gemm-peak.js";
import { openDevice } from "../src/runtime/node/open-device.js";
import { superglueFolder } from "./superglue.js";
import type { TrainRun, TrainRunName } from "./train-run.js";

/** T5 v1.1 small, as google/t5-v1_1-small's config.json has it. */
const small = {
  model_type: "t5",
  d_model: 512,
  d_kv: 64,
  num_heads: 6,
  d_ff: 1024,
  num_layers: 8,
  num_decoder_layers: 8,
  feed_forward_proj: "gated-gelu",
  vocab_size: 32128,
  tie_word_embeddings: false,
  dropout_rate: 0.1,
};

/** Real `train` calls on T5 v1.1 small at 8×512 and 8×128 tokens, dropout 0.1, optimizer in the step; each in a process of its own. */
export async function benchTrain({ json }: { readonly json: boolean }): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "cadre-bench-"));
  try {
    const config = parseT5Config(small);
    await saveModelFolder(folder, { config, tensors: initialTensors(createT5(config).parameters, 1) });
    // Measured before, between and after the runs; the best counts, since a virtual machine's speed varies by the minute.
    let gemmPeakGflops = await gemmPeak();
    if (!json) {
      console.log("run             tokens/s   GFLOP/s   s/step   peak memory");
    }
    const names: TrainRunName[] = ["full", "bottleneck", "lora"];
    if (existsSync(superglueFolder)) {
      names.push("full-superglue");
    } else if (!json) {
      console.log(`(${superglueFolder} is absent: no run on real data)`);
    }
    const measured: TrainRun[] = [];
    for (const name of names) {
      const run = await runInChild(name, folder);
      measured.push(run);
      gemmPeakGflops = Math.max(gemmPeakGflops, await gemmPeak());
      if (!json) {
        const columns = [
          run.name.padEnd(14),
          run.tokensPerSecond.toFixed(0).padStart(9),
          run.gflops.toFixed(0).padStart(9),
          run.stepSeconds.toFixed(3).padStart(8),
          `${(run.peakMemoryBytes / 2 ** 30).toFixed(2)} GiB`.padStart(13),
        ];
        console.log(columns.join(" "));
      }
    }
    const runs = measured.map((run) => ({ ...run, fractionOfPeak: run.gflops / gemmPeakGflops }));
    if (json) {
      console.log(JSON.stringify({ gemmPeakGflops, runs }, null, 2));
      return;
    }
    console.log(
      `\nproduct peak ${gemmPeakGflops.toFixed(0)} GFLOP/s (best of several square float32 products); share of it:`,
    );
    for (const { name, fractionOfPeak } of runs) {
      console.log(`  ${name.padEnd(14)} ${(100 * fractionOfPeak).toFixed(1)} %`);
    }
    const real = runs.find((run) => run.name === "full-superglue");
    const synthetic = runs.find((run) => run.name === "full");
    if (real !== undefined && synthetic !== undefined) {
      const share = real.tokensPerSecond / synthetic.tokensPerSecond;
      console.log(`\nreal rows keep ${share.toFixed(2)} of the full run's tokens/s, with ${real.programs} program(s)`);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function gemmPeak(): Promise<number> {
  await using device = await openDevice();
  return await measureGemmPeak(device);
}

function runInChild(name: TrainRunName, folder: string): Promise<TrainRun> {
  const script = fileURLToPath(new URL("./train-run.js", import.meta.url));
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, name, folder], { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.setEncoding("utf8");
    child.stdout.on("data", (chunk: string) => {
      output += chunk;
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) {
        resolve(JSON.parse(output));
      } else {
        reject(new Error(`bench run ${name} ended with code ${code}`));
      }
    });
  });
}

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runInChild } from "../../bench/size.js";
import type { SizeRun, SizeRunOptions } from "../../bench/size-run.js";

const slow = process.env.CADRE_TESTS === "slow";
const TIMEOUT_MS = 300_000;
/** 34 million parameters. */
const config = {
  model_type: "t5",
  d_model: 512,
  d_kv: 64,
  num_heads: 6,
  d_ff: 1024,
  num_layers: 4,
  num_decoder_layers: 4,
  feed_forward_proj: "gated-gelu",
  vocab_size: 16000,
  tie_word_embeddings: false,
};
const common = { config, optimizer: "adafactor", recompute: false, steps: 4, stepsPerRun: 1 } as const;
const batch = { rows: 8, inputLength: 512, targetLength: 128, sequences: 8 };
const delta = { kind: "lora", config: { rank: 16, alpha: 16 } } as const;

const runs: readonly (readonly [string, Omit<SizeRunOptions, "folder" | "action">])[] = [
  ["all weights", { ...common, batch }],
  ["all weights, recomputed", { ...common, batch, recompute: true }],
  ["all weights, four steps a run", { ...common, batch: { ...batch, rows: 2 }, stepsPerRun: 4, steps: 8 }],
  ["LoRA", { ...common, batch, delta, optimizer: "adamw" }],
  [
    "LoRA, recomputed, long",
    {
      ...common,
      batch: { ...batch, rows: 4, inputLength: 1024 },
      delta,
      optimizer: "adamw",
      recompute: true,
    },
  ],
  [
    "all weights, AdamW, accumulated, clipped",
    { ...common, batch: { ...batch, rows: 2, accumulate: 4 }, optimizer: "adamw", clipNorm: 1 },
  ],
];

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-memory-"));
  await runInChild({ ...common, batch, folder, action: "write" });
}, TIMEOUT_MS);
afterAll(() => rm(folder, { recursive: true, force: true }));

async function expectPrediction(name: string, options: Omit<SizeRunOptions, "folder" | "action">): Promise<void> {
  const run: SizeRun = JSON.parse(await runInChild({ ...options, folder, action: "train" }));
  const ratio = run.predictedBytes / run.peakBytes;
  console.info(`${name}: ${Math.round(run.peakBytes / 1e6)} MB, predicted ${ratio.toFixed(2)} of it`);
  expect(ratio).toBeGreaterThan(0.8);
  expect(ratio).toBeLessThan(1.2);
}

test.skipIf(!slow).each(runs)(
  "predicted memory is within 20 %% of the measured peak: %s",
  expectPrediction,
  TIMEOUT_MS,
);

import { resolve } from "node:path";
import { parseT5Config } from "../../models/t5/config.js";
import { createT5 } from "../../models/t5/t5.js";
import type { Device } from "../../runtime/device.js";
import { measureGemmPeak } from "../../runtime/gemm-peak.js";
import { availableMemory } from "../../runtime/node/available-memory.js";
import { countElements } from "../../tensors/tensor.js";
import { openTokenizer } from "../../tokenizers/node/open-tokenizer.js";
import { flopsPerStep } from "../../training/flops.js";
import { estimateMemory, type MemoryEstimate } from "../../training/memory.js";
import { batchShapeOf, pretrainingOptimizer } from "../pretraining-recipe.js";
import { type DataReadyEvent, type PretrainingDataOptions, readPretrainingData } from "./pretraining-data.js";

/** Share of the fastest matrix product that training steps reached where they were measured; see bench/RESULTS.md. */
export const EXPECTED_SHARE = 0.55;

/** What a pre-training would take. */
export interface PretrainingPlan {
  readonly data: DataReadyEvent;
  readonly parameters: number;
  readonly flopsPerStep: number;
  readonly flops: number;
  /** Most input tokens that all steps see: packs are never quite full. */
  readonly inputTokens: number;
  /** Of one step a run; validation not counted. */
  readonly memory: MemoryEstimate;
  /** What this process may hold now, in bytes. */
  readonly availableBytes: number;
  /** The device's fastest matrix product, measured now, in GFLOP/s. */
  readonly gemmPeak: number;
  /** Estimate of the training's time from `gemmPeak` and `EXPECTED_SHARE`; validation and checkpoints not counted. */
  readonly seconds: number;
}

/**
 * Reads a pre-training's data and estimates what the training would take, without training. Leaves nothing in the run's folder.
 * @throws CadreError as `readPretrainingData` says.
 */
export async function planPretraining(
  options: PretrainingDataOptions & { readonly device: Device },
): Promise<PretrainingPlan> {
  const { device, recipe, recipeFolder } = options;
  const tokenizer = await openTokenizer(resolve(recipeFolder, recipe.tokenizer));
  const model = createT5(parseT5Config({ ...recipe.model, vocab_size: tokenizer.vocabularySize }));
  const { ready } = await readPretrainingData(options, tokenizer);
  const perStep = flopsPerStep({ model, shape: batchShapeOf(recipe), accumulate: 1, frozen: false });
  const flops = perStep * recipe.steps;
  const gemmPeak = await measureGemmPeak(device);
  return {
    data: ready,
    parameters: countElements(model.parameters),
    flopsPerStep: perStep,
    flops,
    inputTokens: recipe.steps * recipe.batch.rows * recipe.batch.inputLength,
    memory: estimateMemory({
      model,
      delta: undefined,
      frozen: { kind: "slots" },
      shape: batchShapeOf(recipe),
      accumulate: 1,
      stepsPerRun: 1,
      optimizer: pretrainingOptimizer,
      clipNorm: recipe.clipNorm,
      dropout: { rate: recipe.dropout },
      decayed: () => false,
      losses: { tokens: recipe.losses.tokens !== 0, choices: recipe.losses.choices !== 0 },
    }),
    availableBytes: await availableMemory(),
    gemmPeak,
    seconds: flops / (EXPECTED_SHARE * gemmPeak * 1e9),
  };
}

import type { ModelFolder } from "../../models/node/model-folder.js";
import type { BatchShape } from "../../models/packed-batch.js";
import type { Device } from "../../runtime/device.js";
import { measureGemmPeak } from "../../runtime/gemm-peak.js";
import { availableMemory } from "../../runtime/node/available-memory.js";
import { countElements } from "../../tensors/tensor.js";
import { estimateMemory, type MemoryEstimate } from "../../training/memory.js";
import { frozenWeights } from "../../training/weights.js";
import type { TrainingRecipe } from "../training-recipe.js";
import { type ExpertSources, setUpExpert } from "./expert-setup.js";
import type { PreparedTraining } from "./expert-training.js";
import { EXPECTED_SHARE } from "./pretraining-plan.js";

/** What a training would take. */
export interface TrainingEstimate {
  readonly task: string;
  readonly trainRows: number;
  readonly validationRows: number;
  readonly truncatedRows: number;
  /** Input and target tokens of the training rows, padding not counted. */
  readonly inputTokens: number;
  readonly targetTokens: number;
  /** Tensors of a batch. */
  readonly shape: BatchShape;
  readonly parameters: number;
  readonly trainedParameters: number;
  readonly steps: number;
  readonly flopsPerStep: number;
  readonly flops: number;
  /** Of one step a run; scoring not counted. */
  readonly memory: MemoryEstimate;
}

/** What training an expert would take, and where it would run. */
export interface ExpertPlan extends TrainingEstimate {
  /** With every default filled in. */
  readonly recipe: TrainingRecipe;
  /** What this process may hold now, in bytes. */
  readonly availableBytes: number;
  /** The device's fastest matrix product, measured now, in GFLOP/s. */
  readonly gemmPeak: number;
  /** Estimate of the steps' time from `gemmPeak` and `EXPECTED_SHARE`; scoring and checkpoints not counted. */
  readonly seconds: number;
}

/**
 * Reads a recipe's base and data and estimates what the training would take, without training.
 * @throws CadreError as `setUpExpert` says.
 */
export async function planExpert(sources: ExpertSources, device: Device): Promise<ExpertPlan> {
  await using setup = await setUpExpert(sources);
  const estimate = estimateTraining(setup.base, setup);
  const gemmPeak = await measureGemmPeak(device);
  return {
    recipe: sources.recipe,
    ...estimate,
    availableBytes: await availableMemory(),
    gemmPeak,
    seconds: secondsOf(estimate, gemmPeak),
  };
}

/** What a training would take. */
export function estimateTraining({ model, weights }: ModelFolder, prepared: PreparedTraining): TrainingEstimate {
  const { data, recipe, delta, shape, steps, losses, optimizer, flopsPerStep } = prepared;
  const memory = estimateMemory({
    model,
    delta,
    frozen: frozenWeights(weights, model.parameters),
    shape,
    accumulate: recipe.batch.accumulate,
    stepsPerRun: 1,
    optimizer,
    clipNorm: recipe.clipNorm,
    dropout: { rate: recipe.dropout },
    recompute: recipe.recompute,
    decayed: () => false,
    losses: { tokens: losses.tokens !== 0, choices: losses.choices !== 0 },
  });
  return {
    task: data.name,
    trainRows: data.train.length,
    validationRows: data.validation.length,
    truncatedRows: data.truncatedRows,
    inputTokens: data.train.reduce((sum, { input }) => sum + input.length, 0),
    targetTokens: data.train.reduce((sum, { targets, correct }) => sum + (targets[correct]?.length ?? 0), 0),
    shape,
    parameters: countElements(model.parameters),
    trainedParameters: countElements((delta ?? model).parameters),
    steps,
    flopsPerStep,
    flops: flopsPerStep * steps,
    memory,
  };
}

/** Estimate of the steps' time at `EXPECTED_SHARE` of a device's fastest matrix product in GFLOP/s; scoring and checkpoints not counted. */
export function secondsOf({ flops }: Pick<TrainingEstimate, "flops">, gemmPeak: number): number {
  return flops / (EXPECTED_SHARE * gemmPeak * 1e9);
}

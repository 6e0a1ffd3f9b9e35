import { throwIfAborted } from "../../core/errors.js";
import { openModelFolder } from "../../models/node/model-folder.js";
import type { Device } from "../../runtime/device.js";
import { measureGemmPeak } from "../../runtime/gemm-peak.js";
import { availableMemory } from "../../runtime/node/available-memory.js";
import { openTokenizer } from "../../tokenizers/node/open-tokenizer.js";
import { estimateTraining, secondsOf, type TrainingEstimate } from "./expert-plan.js";
import type { PreparedTraining } from "./expert-training.js";
import {
  type FailedPart,
  type LibrarySources,
  MULTITASK,
  MULTITASK_ONE_BUDGET,
  multitaskSteps,
  prepareMultitask,
  prepareParts,
} from "./library-parts.js";

/** Options of `planLibrary`: those of `trainIntoLibrary` fit. */
export interface PlanLibraryOptions extends LibrarySources {
  readonly base: { readonly folder: string };
  readonly device: Device;
  readonly signal?: AbortSignal;
}

/** What one training would take, by name of the expert. */
export interface PlannedTraining extends TrainingEstimate {
  /** Estimate of the steps' time; scoring and checkpoints not counted. */
  readonly seconds: number;
}

/** What `trainIntoLibrary` would do where nothing is there yet. */
export interface LibraryPlan {
  /** In the order of the tasks; empty where only a multitask model is asked for. */
  readonly experts: readonly PlannedTraining[];
  /** Both multitask models, where there would be any. */
  readonly multitask?: PlannedTraining;
  readonly multitaskOneBudget?: PlannedTraining;
  readonly failed: readonly FailedPart[];
  /** Of all trainings: their sums, and the largest peak of memory, as they run one after the other. */
  readonly totals: {
    readonly steps: number;
    readonly flops: number;
    readonly seconds: number;
    readonly peakBytes: number;
  };
  /** What this process may hold now, in bytes. */
  readonly availableBytes: number;
  /** The device's fastest matrix product, measured now, in GFLOP/s. */
  readonly gemmPeak: number;
}

/**
 * Encodes the tasks and estimates what `trainIntoLibrary` would take, without training.
 * @throws CadreError as `openModelFolder`; `aborted`.
 */
export async function planLibrary(options: PlanLibraryOptions): Promise<LibraryPlan> {
  const { base: source, device, recipe, mode, signal } = options;
  throwIfAborted(signal);
  await using base = await openModelFolder(source.folder);
  const tokenizer = await openTokenizer(source.folder);
  const { parts, failed } = await prepareParts(options, { base, tokenizer, signal });
  const gemmPeak = await measureGemmPeak(device);
  const planned = (prepared: PreparedTraining): PlannedTraining => {
    const estimate = estimateTraining(base, prepared);
    return { ...estimate, seconds: secondsOf(estimate, gemmPeak) };
  };
  const experts = mode === "multitask" ? [] : parts.map(({ prepared }) => planned(prepared));
  const multitask = async (name: string, steps: number): Promise<PlannedTraining> =>
    planned(await prepareMultitask(parts, { name, base, recipe, steps }));
  const budgets = multitaskSteps(parts.map(({ prepared }) => prepared.steps));
  const models =
    mode === "experts" || parts.length < 2
      ? {}
      : {
          multitask: await multitask(MULTITASK, budgets.all),
          multitaskOneBudget: await multitask(MULTITASK_ONE_BUDGET, budgets.one),
        };
  const all = [...experts, ...Object.values(models)];
  const sum = (of: (training: PlannedTraining) => number): number =>
    all.reduce((total, training) => total + of(training), 0);
  return {
    experts,
    ...models,
    failed,
    totals: {
      steps: sum(({ steps }) => steps),
      flops: sum(({ flops }) => flops),
      seconds: sum(({ seconds }) => seconds),
      peakBytes: all.reduce((most, { memory }) => Math.max(most, memory.totalBytes), 0),
    },
    availableBytes: await availableMemory(),
    gemmPeak,
  };
}

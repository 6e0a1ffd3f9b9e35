import { CadreError } from "../core/errors.js";
import type { EventHandler } from "../core/events.js";
import type { ExampleStream, StreamPosition } from "../mixtures/example-stream.js";
import type { Packer } from "../mixtures/pack.js";
import type { Delta } from "../models/delta.js";
import type { Model } from "../models/model.js";
import type { BatchShape } from "../models/packed-batch.js";
import type { ParameterSpec } from "../models/parameter.js";
import type { Device, State } from "../runtime/device.js";
import type { Tensor } from "../tensors/tensor.js";
import type { CheckpointStore } from "./checkpoint-store.js";
import type { TrainingEvent } from "./events.js";
import type { Fingerprint } from "./fingerprint.js";
import type { Optimizer } from "./optimizers/optimizer.js";
import type { Schedule } from "./schedules.js";
import type { Weights } from "./weights.js";

/** Batches that a caller packs himself. */
export interface BatchSource {
  /** A packer from the start, or from a position that an equal one gave. */
  open(position: StreamPosition | undefined): Packer;
}

/** Options of `train`. */
export interface TrainOptions {
  readonly device: Device;
  readonly model: Model;
  /** The model's weights. Without them all parameters start from random numbers. */
  readonly weights?: Weights;
  /** What is trained instead of the model's own parameters. */
  readonly delta?: Delta;
  /** Starting values of the delta's tensors; by default their initializers. */
  readonly deltaTensors?: ReadonlyMap<string, Tensor>;
  /** Examples to pack, or packed batches of the shape below. */
  readonly stream: ExampleStream | BatchSource;
  readonly batch: BatchShape & {
    /** Several examples in a row where they fit; default true. */
    readonly pack?: boolean;
    /** Batches whose gradients are added up for one step; default 1. */
    readonly accumulate?: number;
  };
  /** Steps of the whole training, those before a resumed checkpoint included. */
  readonly steps: number;
  readonly optimizer: Optimizer;
  readonly schedule: Schedule;
  /** Largest norm of all gradients together; by default gradients are not clipped. */
  readonly clipNorm?: number;
  /** Default rate 0. */
  readonly dropout?: { readonly rate: number; readonly broadcast?: "length" | "none" };
  /**
   * Compute the inside of the model's blocks again for the backward pass instead of keeping it: less than half the memory of long batches for
   * about a third more time; the result keeps its bits, and a training may go on with or without it. Default false.
   */
  readonly recompute?: boolean;
  /** Weights of the token loss and of the loss over choices; default 1 and 0. */
  readonly losses?: { readonly tokens: number; readonly choices: number };
  /** Parameters that weight decay leaves alone; default: vectors (normalisation weights, biases). */
  readonly decayExcluded?: (parameter: ParameterSpec) => boolean;
  /** uint32; decides starting values and dropout. */
  readonly seed: number;
  /**
   * Most steps in one run of the program: a number, or `"auto"` (default) for as many as take about a second, 4 to 16. It changes the
   * speed, not the result. No run crosses a step at which a checkpoint or a validation is due.
   */
  readonly stepsPerRun?: number | "auto";
  readonly checkpoints?: {
    readonly store: CheckpointStore;
    readonly everySteps: number;
    /** Facts beside the training's own that a continued training must share: a hash of the data, say. */
    readonly fingerprint?: Fingerprint;
  };
  readonly validation?: {
    readonly everySteps: number;
    /** Scores the current parameters; higher is better. A score that is not finite is never the best. */
    readonly score: (state: State) => Promise<number>;
    /** Ends the training after so many validations in a row that were not the best; by default it runs to its last step. */
    readonly patience?: number;
  };
  /**
   * What the process may hold in all: `availableMemory` of `runtime/node` says. A training that is predicted to take more is refused before it
   * starts; by default none is. With `stepsPerRun: "auto"` the prediction is that of one step a run, as larger models get.
   */
  readonly memory?: { readonly availableBytes: number };
  readonly onEvent?: EventHandler<TrainingEvent>;
  /** Stops after the run in progress, with a checkpoint where there is a store. */
  readonly signal?: AbortSignal;
}

/** @throws CadreError `invalid-argument` naming every number that is out of range. */
export function checkTrainOptions(options: TrainOptions): void {
  const { steps, seed, batch, stepsPerRun, checkpoints, validation, clipNorm, dropout, losses, memory } = options;
  const problems: string[] = [];
  const expectAtLeast = (name: string, value: number | undefined, least: number): void => {
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= least)) {
      problems.push(`${name}: expected an integer of ${least} or more, got ${value}`);
    }
  };
  expectAtLeast("steps", steps, 0);
  for (const size of ["rows", "inputLength", "targetLength", "sequences", "accumulate"] as const) {
    expectAtLeast(`batch.${size}`, batch[size], 1);
  }
  if (clipNorm !== undefined && !(clipNorm > 0)) {
    problems.push(`clipNorm: expected a number above 0, got ${clipNorm}; leave it out not to clip`);
  }
  if (dropout !== undefined && !(dropout.rate >= 0 && dropout.rate < 1)) {
    problems.push(`dropout.rate: expected a number from 0 to below 1, got ${dropout.rate}`);
  }
  if (losses !== undefined && !(losses.tokens >= 0 && losses.choices >= 0 && losses.tokens + losses.choices > 0)) {
    problems.push(
      `losses: expected weights of 0 or more, one of them above 0, got tokens ${losses.tokens}, choices ${losses.choices}`,
    );
  }
  expectAtLeast("stepsPerRun", stepsPerRun === "auto" ? undefined : stepsPerRun, 1);
  expectAtLeast("checkpoints.everySteps", checkpoints?.everySteps, 1);
  expectAtLeast("validation.everySteps", validation?.everySteps, 1);
  expectAtLeast("validation.patience", validation?.patience, 1);
  if (memory !== undefined && !(memory.availableBytes > 0)) {
    problems.push(`memory.availableBytes: expected a number above 0, got ${memory.availableBytes}`);
  }
  if (seed >>> 0 !== seed) {
    problems.push(`seed: expected an integer from 0 to 2^32 - 1, got ${seed}`);
  }
  if (problems.length > 0) {
    throw new CadreError("invalid-argument", `train: ${problems.join("; ")}`);
  }
}

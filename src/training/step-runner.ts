import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import type { Model } from "../models/model.js";
import type { PackedBatch } from "../models/packed-batch.js";
import type { Device, Program, State } from "../runtime/device.js";
import { hasDType, type Tensor } from "../tensors/tensor.js";
import { lossFeeds } from "./losses.js";
import type { Schedule } from "./schedules.js";
import { buildStepProgram, type StepProgram, type StepProgramOptions } from "./step-program.js";

/** Longest run that `stepsPerRun: "auto"` aims for, in seconds: how long an abort or a progress bar may have to wait. */
const RUN_SECONDS = 1;
/** Most steps that `"auto"` puts into a run. */
const MAX_STEPS_PER_RUN = 16;
/**
 * Fewer are not worth a second program and its copies of the state. Measured on 2 cores, one step a run against 8: 24 and 16 ms (1.5 million
 * parameters), 37 and 29 (3.2), 64 and 33 to 48 (7.2); against 4: 333 and 345 ms (10.4).
 */
const MIN_STEPS_PER_RUN = 4;
/** Runs of one step before `"auto"` decides by the fastest: the first touches fresh memory, any may be disturbed. */
const TIMED_RUNS = 3;

/** What one step measured. */
export interface StepMetrics {
  readonly tokenLoss: number;
  readonly choiceLoss: number;
  readonly gradientNorm: number;
  /** The loss of each of the experts that are trained together, of which the two losses are sums. */
  readonly expertLosses?: readonly number[];
  readonly inputTokens: number;
  readonly targetTokens: number;
  readonly seconds: number;
}

/** Options of `createStepRunner`. */
export interface StepRunnerOptions {
  readonly device: Device;
  readonly program: Omit<StepProgramOptions, "stepsPerRun">;
  /** The program of one step. */
  readonly single: StepProgram;
  /** Weights of the two losses. */
  readonly losses: { readonly tokens: number; readonly choices: number };
  readonly schedule: Schedule;
  readonly seed: number;
  /** Most steps in a run. */
  readonly stepsPerRun: number | "auto";
  /** Steps between two at which runs have to end. */
  readonly interval: number;
  /** Holds the slots of the program; the caller closes it. */
  readonly state: State;
}

/** Runs training steps on a device. */
export interface StepRunner extends AsyncDisposable {
  /** Slots that steps change. */
  readonly stateNames: readonly string[];
  /** Does 1 to `limit` steps from `step` (the number already done) and returns what each measured. */
  run(request: {
    readonly step: number;
    readonly limit: number;
    readonly nextBatch: () => PackedBatch;
  }): Promise<StepMetrics[]>;
}

/** Compiles the program of one step, and of several once it is known how long one takes. */
export async function createStepRunner(options: StepRunnerOptions): Promise<StepRunner> {
  const { device, program: programOptions, single, state, stepsPerRun, interval } = options;
  const compiled = new Map<number, { readonly program: Program; readonly step: StepProgram }>();
  const compile = async (steps: number) => {
    const known = compiled.get(steps);
    if (known !== undefined) {
      return known;
    }
    const step = steps === 1 ? single : buildStepProgram({ ...programOptions, stepsPerRun: steps });
    const { frozen } = programOptions;
    const program = await device.compile(step.bytes, {
      name: steps === 1 ? "training step" : `${steps} training steps`,
      updates: step.updates,
      guards: step.guards,
      ...(frozen.kind === "mapped" ? { weightsFolder: frozen.folder } : {}),
    });
    const entry = { program, step };
    compiled.set(steps, entry);
    return entry;
  };
  await compile(1);
  const timed: number[] = [];
  // What a loop carries crosses between a GPU and the processor at every step (docs/devices.md).
  const automatic = device.kind === "cpu" ? undefined : 1;
  let chosen = stepsPerRun === "auto" ? automatic : fittingSteps(stepsPerRun, interval);

  return {
    stateNames: Object.keys(single.updates),
    async run({ step, limit, nextBatch }) {
      const steps = chosen !== undefined && chosen <= limit ? chosen : 1;
      const { program, step: stepProgram } = await compile(steps);
      const { accumulate, model } = programOptions;
      const batches = Array.from({ length: steps }, () => Array.from({ length: accumulate }, nextBatch));
      const feeds = feedsOf({ step, batches, model, options });
      const before = performance.now();
      const { outputs, committed } = await program.run(feeds, { state });
      const seconds = (performance.now() - before) / 1000;
      if (!committed) {
        throwNonFinite({ outputs, stepProgram, step, steps });
      }
      if (chosen === undefined && timed.push(seconds) === TIMED_RUNS) {
        const most = Math.min(MAX_STEPS_PER_RUN, Math.floor(RUN_SECONDS / Math.min(...timed)));
        chosen = most < MIN_STEPS_PER_RUN ? 1 : fittingSteps(most, interval);
      }
      return batches.map((micro, index) => metricsOf({ outputs, stepProgram, micro, index, seconds: seconds / steps }));
    },
    async [Symbol.asyncDispose]() {
      for (const { program } of compiled.values()) {
        await program.close();
      }
    },
  };
}

/** The steps in a run, at most `most`, with which an interval takes the fewest runs: full ones, then single steps. */
export function fittingSteps(most: number, interval: number): number {
  const limit = Math.max(1, Math.min(most, interval));
  if (!Number.isFinite(interval)) {
    return limit;
  }
  const runs = (steps: number): number => Math.floor(interval / steps) + (interval % steps);
  let best = limit;
  for (let steps = limit - 1; steps >= 1; steps--) {
    best = runs(steps) < runs(best) ? steps : best;
  }
  return best;
}

/** Lays several batches' feeds behind each other: `[steps, accumulate, ...]` without axes of size 1. */
function feedsOf(request: {
  readonly step: number;
  readonly batches: readonly (readonly PackedBatch[])[];
  readonly model: Model;
  readonly options: StepRunnerOptions;
}): Record<string, Tensor> {
  const { step, batches, model, options } = request;
  const accumulate = at(batches, 0).length;
  const steps = batches.length;
  const leading = [...(steps > 1 ? [steps] : []), ...(accumulate > 1 ? [accumulate] : [])];
  const { delta } = options.program;
  const each = batches
    .flat()
    .map((batch) => ({ ...model.feeds(batch), ...lossFeeds(batch), ...delta?.feeds?.(batch) }));
  const feeds: Record<string, Tensor> = {};
  for (const [name, first] of Object.entries(at(each, 0))) {
    feeds[name] = stack(
      each.map((one) => one[name] ?? first),
      leading,
    );
  }
  const scalar = (compute: (index: number) => number): Tensor => ({
    dtype: "float32",
    shape: steps > 1 ? [steps] : [],
    data: Float32Array.from(batches, (_, index) => compute(index)),
  });
  /** Factors that make sums over a step's batches means: one, or one for each of the experts that share the rows. */
  const means = (weight: number, count: "targetTokens" | "choiceExamples"): Tensor => {
    const experts = delta?.together ?? 1;
    const factors = batches.flatMap((micro) =>
      Array.from({ length: experts }, (_, expert) => {
        const counts = micro.map((batch) => (delta?.together === undefined ? batch : sharesOf(batch, expert))[count]);
        return (
          weight /
          Math.max(
            1,
            counts.reduce((sum, one) => sum + one, 0),
          )
        );
      }),
    );
    const shape = [...(steps > 1 ? [steps] : []), ...(delta?.together === undefined ? [] : [experts])];
    return { dtype: "float32", shape, data: Float32Array.from(factors) };
  };
  return {
    ...feeds,
    learningRate: scalar((index) => options.schedule(step + index)),
    stepNumber: scalar((index) => step + index + 1),
    tokenScale: means(options.losses.tokens, "targetTokens"),
    choiceScale: means(options.losses.choices, "choiceExamples"),
    randomStep: {
      dtype: "int64",
      shape: leading,
      data: BigInt64Array.from({ length: steps * accumulate }, (_, index) => BigInt(step * accumulate + index)),
    },
    seed: { dtype: "int64", shape: [], data: BigInt64Array.of(BigInt(options.seed)) },
  };
}

function sharesOf({ shares }: PackedBatch, expert: number): { targetTokens: number; choiceExamples: number } {
  const found = shares?.[expert];
  if (found === undefined) {
    throw new CadreError("internal", `training step: the batch has no share for expert ${expert}`);
  }
  return found;
}

function stack(tensors: readonly Tensor[], leading: readonly number[]): Tensor {
  const first = at(tensors, 0);
  if (tensors.length === 1) {
    return first;
  }
  const bytes = new Uint8Array(tensors.reduce((sum, { data }) => sum + data.byteLength, 0));
  let offset = 0;
  for (const { data } of tensors) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    offset += data.byteLength;
  }
  const shape = [...leading, ...first.shape];
  return first.dtype === "float32"
    ? { dtype: "float32", shape, data: new Float32Array(bytes.buffer) }
    : { dtype: "int32", shape, data: new Int32Array(bytes.buffer) };
}

function floats(outputs: Readonly<Record<string, Tensor>>, name: string): Float32Array {
  const tensor = outputs[name];
  if (tensor === undefined || !hasDType(tensor, "float32")) {
    throw new CadreError("internal", `training step: no output ${name}`);
  }
  return tensor.data;
}

function metricsOf(request: {
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly stepProgram: StepProgram;
  readonly micro: readonly PackedBatch[];
  readonly index: number;
  readonly seconds: number;
}): StepMetrics {
  const { outputs, stepProgram, micro, index, seconds } = request;
  const count = stepProgram.trained.length;
  const squares = floats(outputs, "gradientSquares").subarray(index * count, (index + 1) * count);
  const experts = stepProgram.together;
  return {
    ...(experts === undefined
      ? {}
      : { expertLosses: [...floats(outputs, "expertLosses").subarray(index * experts, (index + 1) * experts)] }),
    tokenLoss: at(floats(outputs, "tokenLoss"), index),
    choiceLoss: at(floats(outputs, "choiceLoss"), index),
    gradientNorm: Math.sqrt(squares.reduce((sum, square) => sum + square, 0)),
    inputTokens: micro.reduce((sum, batch) => sum + batch.inputTokens, 0),
    targetTokens: micro.reduce((sum, batch) => sum + batch.targetTokens, 0),
    seconds,
  };
}

function throwNonFinite(request: {
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly stepProgram: StepProgram;
  readonly step: number;
  readonly steps: number;
}): never {
  const { outputs, stepProgram, step, steps } = request;
  const count = stepProgram.trained.length;
  for (let index = 0; index < steps; index++) {
    const bad = ["tokenLoss", "choiceLoss"].find((name) => !Number.isFinite(at(floats(outputs, name), index)));
    const squares = floats(outputs, "gradientSquares").subarray(index * count, (index + 1) * count);
    const gradient = squares.findIndex((square) => !Number.isFinite(square));
    if (bad !== undefined || gradient >= 0) {
      const tensor = bad ?? `gradient of ${at(stepProgram.trained, gradient).name}`;
      const first = gradient >= 0 ? `; first bad gradient: ${at(stepProgram.trained, gradient).name}` : "";
      throw new CadreError(
        "non-finite",
        `train: step ${step + index + 1}: expected finite numbers, got NaN or infinity in ${tensor}${bad === undefined ? "" : first}; lower the learning rate or clip gradients. The parameters are those before step ${step + 1}`,
        { details: { step: step + index + 1, tensor } },
      );
    }
  }
  throw new CadreError("internal", "training step: the guard refused finite numbers");
}

import { CadreError, throwIfAborted } from "../core/errors.js";
import { emit } from "../core/events.js";
import type { StreamPosition } from "../mixtures/example-stream.js";
import { createPacker, type Packer } from "../mixtures/pack.js";
import type { ParameterSpec } from "../models/parameter.js";
import type { State } from "../runtime/device.js";
import { allFinite } from "../tensors/all-finite.js";
import { countElements, type Tensor } from "../tensors/tensor.js";
import type { BestScore, TruncationCounts } from "./checkpoint-store.js";
import { checkFingerprint, type Fingerprint, fingerprintOf } from "./fingerprint.js";
import { flopsPerStep } from "./flops.js";
import { refuseIfTooLarge } from "./memory.js";
import { eachStartingTensor, modelTensors } from "./starting-state.js";
import { buildStepProgram, type StepProgram, type StepProgramOptions } from "./step-program.js";
import { createStepRunner, type StepRunner } from "./step-runner.js";
import { checkTrainOptions, type TrainOptions } from "./train-options.js";
import { frozenWeights } from "./weights.js";

/** What `train` returns. */
export interface TrainResult {
  /** Steps done: fewer than asked for where patience was gone. */
  readonly step: number;
  /** Trained parameters (the best by validation, if there is one), float32. */
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/**
 * Trains a model or a delta. With a checkpoint store, a training that was killed goes on from its newest checkpoint and repeats the
 * uninterrupted one bit for bit on the CPU device. A validation that is killed is repeated.
 *
 * @throws CadreError `non-finite` naming the step and the first bad tensor; `mismatch` where a checkpoint belongs to another training or
 * weights do not fit; `out-of-memory` before it starts, where \`memory\` says that it would not fit; `invalid-argument`; `aborted`.
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  throwIfAborted(options.signal);
  checkTrainOptions(options);
  const started = performance.now();
  const { device, model, delta, batch, checkpoints, onEvent } = options;
  const accumulate = batch.accumulate ?? 1;
  const trained = delta?.parameters ?? model.parameters;
  const program: Omit<StepProgramOptions, "stepsPerRun"> = {
    model,
    delta,
    frozen: options.weights === undefined ? { kind: "slots" } : frozenWeights(options.weights, model.parameters),
    shape: batch,
    accumulate,
    optimizer: options.optimizer,
    clipNorm: options.clipNorm,
    dropout: options.dropout,
    recompute: options.recompute,
    decayed: (parameter) => !(options.decayExcluded ?? isVector)(parameter),
    losses: { tokens: lossWeights(options).tokens !== 0, choices: lossWeights(options).choices !== 0 },
  };
  const single = buildStepProgram({ ...program, stepsPerRun: 1 });
  if (options.memory !== undefined) {
    const stepsPerRun = typeof options.stepsPerRun === "number" ? options.stepsPerRun : 1;
    refuseIfTooLarge({ ...program, stepsPerRun }, options.memory);
  }
  const fingerprint =
    checkpoints === undefined
      ? {}
      : await trainingFingerprint(
          options,
          program.recompute === true ? buildStepProgram({ ...program, recompute: false, stepsPerRun: 1 }) : single,
        );
  let latest = await checkpoints?.store.latest();
  if (latest !== undefined) {
    checkFingerprint(latest.checkpoint.fingerprint, fingerprint, { step: latest.checkpoint.step });
  }
  const names = trained.map(({ name }) => name);
  // Without its tensors, a best score would only keep worse ones from being kept.
  const bestTensors =
    options.validation === undefined || latest?.best === undefined ? undefined : pick(latest.best.tensors, names);
  const resumed: Resumed = {
    step: latest?.checkpoint.step ?? 0,
    truncation: latest?.checkpoint.truncation ?? NOTHING_CUT,
    stream: latest?.checkpoint.stream,
    best: bestTensors === undefined ? undefined : latest?.checkpoint.best,
    bestTensors,
  };
  const damaged = latest?.damaged ?? [];
  const start = (): void =>
    emit(onEvent, {
      type: "training-start",
      step: resumed.step,
      steps: options.steps,
      parameters: countElements(model.parameters),
      trainedParameters: countElements(trained),
      flopsPerStep: flopsPerStep({ model, shape: batch, accumulate, frozen: delta !== undefined }),
      damagedCheckpoints: damaged,
    });
  const end = ({ step, truncation }: Progress, reason: "finished" | "aborted" | "failed"): void =>
    emit(onEvent, {
      type: "training-end",
      step,
      reason,
      seconds: (performance.now() - started) / 1000,
      ...truncation,
    });
  if (latest !== undefined && resumed.step >= options.steps) {
    start();
    end(resumed, "finished");
    return { step: resumed.step, tensors: resumed.bestTensors ?? pick(latest.checkpoint.tensors, names) };
  }
  await using state = await device.createState(new Map());
  // One at a time: all at once would lie in memory twice until the garbage is collected, which may be never.
  for await (const [name, tensor] of stateTensors(options, { program, single, saved: latest?.checkpoint.tensors })) {
    await state.write(new Map([[name, tensor]]));
  }
  // The worker has its copy; this one would lie in memory for the whole training.
  latest = undefined;
  await using runner = await createStepRunner({
    device,
    program,
    single,
    losses: lossWeights(options),
    schedule: options.schedule,
    seed: options.seed,
    stepsPerRun: options.stepsPerRun ?? "auto",
    interval: Math.min(
      options.steps,
      checkpoints?.everySteps ?? Number.POSITIVE_INFINITY,
      options.validation?.everySteps ?? Number.POSITIVE_INFINITY,
    ),
    state,
  });
  start();
  const progress: Progress = { step: resumed.step, truncation: resumed.truncation };
  try {
    const best = await runSteps(options, { progress, fingerprint, resumed, runner, state, names });
    // Its memory goes back before the parameters are read, which takes as much again as they do.
    await runner[Symbol.asyncDispose]();
    const tensors = best ?? (await state.read(names));
    checkFinite(tensors, progress.step);
    end(progress, "finished");
    return { step: progress.step, tensors };
  } catch (error) {
    const aborted = options.signal?.aborted === true && CadreError.isInstance(error) && error.code === "aborted";
    end(progress, aborted ? "aborted" : "failed");
    throw error;
  }
}

/** What a training goes on from. */
interface Resumed {
  readonly step: number;
  readonly truncation: TruncationCounts;
  readonly stream: StreamPosition | undefined;
  readonly best: BestScore | undefined;
  /** Trained tensors of the best one. */
  readonly bestTensors: ReadonlyMap<string, Tensor> | undefined;
}

/** Where a training is. */
interface Progress {
  step: number;
  truncation: TruncationCounts;
}

/** The loop; returns the best tensors by validation, if there are any. */
async function runSteps(
  options: TrainOptions,
  context: {
    readonly progress: Progress;
    readonly fingerprint: Fingerprint;
    readonly resumed: Resumed;
    readonly runner: StepRunner;
    readonly state: State;
    readonly names: readonly string[];
  },
): Promise<ReadonlyMap<string, Tensor> | undefined> {
  const { checkpoints, validation, onEvent, steps } = options;
  const { progress, fingerprint, resumed, runner, state, names } = context;
  const packer = openPacker(options, resumed.stream);
  const cutBefore = progress.truncation;
  let { best, bestTensors } = resumed;
  let savedAt = progress.step;
  const save = async (): Promise<void> => {
    if (checkpoints === undefined || savedAt === progress.step) {
      return;
    }
    const tensors = await state.read(runner.stateNames);
    checkFinite(tensors, progress.step);
    const { step, truncation } = progress;
    const path = await checkpoints.store.save({
      step,
      fingerprint,
      stream: packer.position(),
      truncation,
      best,
      tensors,
    });
    savedAt = step;
    emit(onEvent, { type: "checkpoint-saved", step, path });
  };

  /** A fact of step and best score alone, so that a training that goes on ends where the uninterrupted one does. */
  const isPatienceGone = (): boolean =>
    validation?.patience !== undefined &&
    best !== undefined &&
    Math.floor((progress.step - best.step) / validation.everySteps) >= validation.patience;

  while (progress.step < steps && !isPatienceGone()) {
    if (options.signal?.aborted) {
      await save();
      throwIfAborted(options.signal);
    }
    const { step } = progress;
    const boundary = Math.min(
      steps,
      nextMultiple(step, checkpoints?.everySteps),
      nextMultiple(step, validation?.everySteps),
    );
    const metrics = await runner.run({ step, limit: boundary - step, nextBatch: () => packer.next() });
    progress.truncation = addCounts(cutBefore, packer.counts());
    for (const one of metrics) {
      const learningRate = options.schedule(progress.step);
      progress.step++;
      emit(onEvent, {
        type: "step-end",
        step: progress.step,
        loss: one.tokenLoss + one.choiceLoss,
        ...one,
        learningRate,
      });
    }
    let isBest = false;
    if (validation !== undefined && isDue(progress.step, { ...validation, steps })) {
      const score = await validation.score(state);
      isBest = Number.isFinite(score) && (best === undefined || score > best.score);
      if (isBest) {
        best = { step: progress.step, score };
        bestTensors = await state.read(names);
      }
      emit(onEvent, { type: "validation-end", step: progress.step, score, best: isBest });
    }
    if (isBest || (checkpoints !== undefined && isDue(progress.step, { ...checkpoints, steps }))) {
      await save();
    }
  }
  // Where it has ended early, no checkpoint need be due: the next call would repeat the last steps.
  await save();
  return bestTensors;
}

function openPacker({ stream, batch, model }: TrainOptions, position: StreamPosition | undefined): Packer {
  if ("open" in stream) {
    return stream.open(position);
  }
  if (position !== undefined) {
    stream.seek(position);
  }
  return createPacker({ stream, shape: batch, pack: batch.pack ?? true, padId: model.padId });
}

/** All slots: frozen parameters that are not mapped, trained ones, optimizer state. */
async function* stateTensors(
  options: TrainOptions,
  context: {
    readonly program: Omit<StepProgramOptions, "stepsPerRun">;
    readonly single: StepProgram;
    /** Trained tensors and optimizer state of a checkpoint. */
    readonly saved: ReadonlyMap<string, Tensor> | undefined;
  },
): AsyncGenerator<[string, Tensor]> {
  const { model, weights, deltaTensors, seed } = options;
  const { program, single, saved } = context;
  const { trained, optimizerSlots: slots } = single;
  const trainedNames = new Set(trained.map(({ name }) => name));
  const frozen = model.parameters.filter(({ name }) => !trainedNames.has(name));
  const start = { parameters: model.parameters, trained, slots, weights, deltaTensors, seed };
  if (program.frozen.kind === "slots") {
    for (const parameter of frozen) {
      yield* await modelTensors([parameter], { weights, seed });
    }
  }
  yield* saved ?? eachStartingTensor(start);
}

function trainingFingerprint(options: TrainOptions, program: StepProgram): Promise<Fingerprint> {
  const { model, weights, deltaTensors, batch, schedule, seed, checkpoints } = options;
  return fingerprintOf({
    program,
    parameters: model.parameters,
    weights,
    deltaTensors,
    losses: lossWeights(options),
    pack: batch.pack ?? true,
    schedule,
    seed,
    device: options.device,
    more: checkpoints?.fingerprint,
  });
}

/** A last step can blow up parameters although its own loss was finite. */
function checkFinite(tensors: ReadonlyMap<string, Tensor>, step: number): void {
  for (const [tensor, content] of tensors) {
    if (!allFinite(content)) {
      throw new CadreError(
        "non-finite",
        `train: step ${step}: expected finite numbers, got NaN or infinity in ${tensor} after the step; lower the learning rate or clip gradients`,
        { details: { step, tensor } },
      );
    }
  }
}

function isDue(step: number, { everySteps, steps }: { readonly everySteps: number; readonly steps: number }): boolean {
  return step % everySteps === 0 || step === steps;
}

const NOTHING_CUT: TruncationCounts = { truncatedExamples: 0, inputTokensCut: 0, targetTokensCut: 0 };

function addCounts(before: TruncationCounts, now: TruncationCounts): TruncationCounts {
  return {
    truncatedExamples: before.truncatedExamples + now.truncatedExamples,
    inputTokensCut: before.inputTokensCut + now.inputTokensCut,
    targetTokensCut: before.targetTokensCut + now.targetTokensCut,
  };
}

function lossWeights({ losses }: TrainOptions): { readonly tokens: number; readonly choices: number } {
  return losses ?? { tokens: 1, choices: 0 };
}

function nextMultiple(step: number, every: number | undefined): number {
  return every === undefined ? Number.POSITIVE_INFINITY : (Math.floor(step / every) + 1) * every;
}

function pick(tensors: ReadonlyMap<string, Tensor>, names: readonly string[]): Map<string, Tensor> {
  const picked = new Set(names);
  return new Map([...tensors].filter(([name]) => picked.has(name)));
}

function isVector({ shape }: ParameterSpec): boolean {
  return shape.length < 2;
}

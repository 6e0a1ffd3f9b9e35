import { CadreError, throwIfAborted } from "../core/errors.js";
import { type EventHandler, emit } from "../core/events.js";
import { sha256 } from "../core/hash.js";
import type { ExampleStream } from "../mixtures/example-stream.js";
import { createPacker, type Packer } from "../mixtures/pack.js";
import type { Delta } from "../models/delta.js";
import { initialTensors } from "../models/initialize.js";
import type { Model } from "../models/model.js";
import type { BatchShape } from "../models/packed-batch.js";
import type { ParameterSpec } from "../models/parameter.js";
import type { Device, State } from "../runtime/device.js";
import { elementCount, type Tensor, zeros } from "../tensors/tensor.js";
import type { Checkpoint, CheckpointStore } from "./checkpoint-store.js";
import type { TrainingEvent } from "./events.js";
import { flopsPerStep } from "./flops.js";
import type { Optimizer } from "./optimizers/optimizer.js";
import type { Schedule } from "./schedules.js";
import { createStepRunner, type StepMetrics } from "./step-runner.js";
import { frozenWeights, readParameters, type Weights } from "./weights.js";

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
  readonly stream: ExampleStream;
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
  /** Weights of the token loss and of the loss over choices; default 1 and 0. */
  readonly losses?: { readonly tokens: number; readonly choices: number };
  /** Parameters that weight decay leaves alone; default: vectors (normalisation weights, biases). */
  readonly decayExcluded?: (parameter: ParameterSpec) => boolean;
  /** uint32; decides starting values and dropout. */
  readonly seed: number;
  /** Steps in one run of the program: a number, or `"auto"` (default) for as many as take about a second, at most 16. */
  readonly stepsPerRun?: number | "auto";
  readonly checkpoints?: { readonly store: CheckpointStore; readonly everySteps: number };
  readonly validation?: {
    readonly everySteps: number;
    /** Scores the current parameters; higher is better. */
    readonly score: (state: State) => Promise<number>;
  };
  readonly onEvent?: EventHandler<TrainingEvent>;
  /** Stops after the run in progress, with a checkpoint where there is a store. */
  readonly signal?: AbortSignal;
}

/** What `train` returns. */
export interface TrainResult {
  /** Steps done. */
  readonly step: number;
  /** Trained parameters (the best by validation, if there is one), float32. */
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/**
 * Trains a model or a delta. With a checkpoint store, a training that was killed goes on from its newest checkpoint and repeats the
 * uninterrupted one bit for bit on the CPU device.
 *
 * @throws CadreError `non-finite` naming the step and the first bad tensor; `mismatch` where a checkpoint belongs to another training or
 * weights do not fit; `aborted`.
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  throwIfAborted(options.signal);
  const started = performance.now();
  const { device, model, delta, batch, checkpoints, validation, onEvent } = options;
  const trained = delta?.parameters ?? model.parameters;
  const trainedNames = new Set(trained.map(({ name }) => name));
  const fingerprint = await fingerprintOf(options, trained);
  const checkpoint = await checkpoints?.store.latest();
  if (checkpoint !== undefined && checkpoint.fingerprint !== fingerprint) {
    throw new CadreError(
      "mismatch",
      `train: expected the checkpoint of step ${checkpoint.step} to belong to this training, but model, data shape, optimizer or seed differ; use another folder`,
    );
  }
  const packer = openPacker(options, checkpoint);
  const frozen = options.weights === undefined ? ({ kind: "slots" } as const) : frozenWeights(options.weights, model.parameters);
  const runner = await createStepRunner({
    device,
    program: {
      model,
      delta,
      frozen,
      shape: batch,
      accumulate: batch.accumulate ?? 1,
      optimizer: options.optimizer,
      clipNorm: options.clipNorm,
      dropout: options.dropout,
      decayed: (parameter) => !(options.decayExcluded ?? isVector)(parameter),
      losses: { tokens: lossWeights(options).tokens !== 0, choices: lossWeights(options).choices !== 0 },
    },
    losses: lossWeights(options),
    schedule: options.schedule,
    seed: options.seed,
    stepsPerRun: options.stepsPerRun ?? "auto",
    state: async (slots) => {
      const tensors = new Map<string, Tensor>();
      if (frozen.kind === "slots") {
        addAll(tensors, await modelTensors(options, model.parameters.filter(({ name }) => !trainedNames.has(name))));
      }
      addAll(tensors, checkpoint?.tensors ?? (await startingTensors(options, trained, slots)));
      return device.createState(tensors);
    },
  });
  await using _ = runner;
  emit(onEvent, {
    type: "training-start",
    step: checkpoint?.step ?? 0,
    steps: options.steps,
    parameters: countParameters(model.parameters),
    trainedParameters: countParameters(trained),
    flopsPerStep: flopsPerStep({ model, shape: batch, accumulate: batch.accumulate ?? 1, frozen: delta !== undefined }),
  });

  let step = checkpoint?.step ?? 0;
  let bestScore = checkpoint?.bestScore;
  let savedAt = checkpoint?.step;
  let bestTensors: ReadonlyMap<string, Tensor> | undefined;
  if (bestScore !== undefined) {
    bestTensors = (await checkpoints?.store.best())?.tensors;
  }
  const save = async (best: boolean): Promise<void> => {
    if (checkpoints === undefined || (savedAt === step && !best)) {
      return;
    }
    const tensors = await runner.state.read(runner.stateNames);
    const path = await checkpoints.store.save(
      { step, fingerprint, stream: packer.position(), bestScore, tensors },
      { best },
    );
    savedAt = step;
    emit(onEvent, { type: "checkpoint-saved", step, path });
  };
  const end = (reason: "finished" | "aborted"): void => {
    const { truncatedExamples, inputTokensCut, targetTokensCut } = packer.counts();
    const seconds = (performance.now() - started) / 1000;
    emit(onEvent, { type: "training-end", step, reason, seconds, truncatedExamples, inputTokensCut, targetTokensCut });
  };

  while (step < options.steps) {
    if (options.signal?.aborted) {
      await save(false);
      end("aborted");
      throwIfAborted(options.signal);
    }
    const boundary = Math.min(
      options.steps,
      nextMultiple(step, checkpoints?.everySteps),
      nextMultiple(step, validation?.everySteps),
    );
    const metrics = await runner.run({ step, limit: boundary - step, nextBatch: () => packer.next() });
    for (const one of metrics) {
      step++;
      emitStep(onEvent, { step, metrics: one, learningRate: options.schedule(step - 1) });
    }
    let best = false;
    if (validation !== undefined && (step % validation.everySteps === 0 || step === options.steps)) {
      const score = await validation.score(runner.state);
      best = bestScore === undefined || score > bestScore;
      if (best) {
        bestScore = score;
        bestTensors = await runner.state.read(trained.map(({ name }) => name));
      }
      emit(onEvent, { type: "validation-end", step, score, best });
    }
    if (best || step === options.steps || (checkpoints !== undefined && step % checkpoints.everySteps === 0)) {
      await save(best);
    }
  }
  end("finished");
  const names = trained.map(({ name }) => name);
  const tensors = bestTensors ?? (await runner.state.read(names));
  return { step, tensors: new Map([...tensors].filter(([name]) => trainedNames.has(name))) };
}

function openPacker({ stream, batch, model }: TrainOptions, checkpoint: Checkpoint | undefined): Packer {
  if (checkpoint !== undefined) {
    stream.seek(checkpoint.stream);
  }
  return createPacker({ stream, shape: batch, pack: batch.pack ?? true, padId: model.padId });
}

function lossWeights({ losses }: TrainOptions): { readonly tokens: number; readonly choices: number } {
  return losses ?? { tokens: 1, choices: 0 };
}

async function modelTensors(
  { weights, seed }: TrainOptions,
  parameters: readonly ParameterSpec[],
): Promise<Map<string, Tensor>> {
  return weights === undefined ? initialTensors(parameters, seed) : readParameters(weights, parameters);
}

/** Trained tensors and optimizer state before the first step. */
async function startingTensors(
  options: TrainOptions,
  trained: readonly ParameterSpec[],
  slots: readonly { readonly name: string; readonly shape: readonly number[] }[],
): Promise<Map<string, Tensor>> {
  const { deltaTensors, model, seed } = options;
  const own = new Set(model.parameters.map(({ name }) => name));
  const given = trained.filter(({ name }) => deltaTensors?.has(name) === true);
  const inherited = trained.filter(({ name }) => own.has(name) && deltaTensors?.has(name) !== true);
  const fresh = trained.filter(({ name }) => !own.has(name) && deltaTensors?.has(name) !== true);
  const tensors = new Map<string, Tensor>(initialTensors(fresh, seed));
  addAll(tensors, await modelTensors(options, inherited));
  addAll(tensors, await readParameters(deltaTensors ?? new Map(), given));
  return addAll(tensors, new Map(slots.map(({ name, shape }) => [name, zeros("float32", shape)])));
}

function addAll(target: Map<string, Tensor>, source: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  for (const [name, tensor] of source) {
    target.set(name, tensor);
  }
  return target;
}

/** Hash of everything that a continued training must share with the one that wrote a checkpoint. */
async function fingerprintOf(options: TrainOptions, trained: readonly ParameterSpec[]): Promise<string> {
  const { model, delta, batch, optimizer, clipNorm, dropout, seed, steps } = options;
  const rates = Array.from({ length: 8 }, (_, index) => options.schedule(Math.floor((index * steps) / 8)));
  const facts = {
    model: model.kind,
    parameters: model.parameters.map(({ name, shape }) => [name, shape]),
    delta: delta?.kind,
    trained: trained.map(({ name, shape }) => [name, shape]),
    optimizer: [optimizer.name, optimizer.stateOf([256, 256])],
    batch,
    losses: lossWeights(options),
    clipNorm,
    dropout,
    seed,
    rates,
  };
  return sha256(new TextEncoder().encode(JSON.stringify(facts)));
}

function emitStep(
  onEvent: EventHandler<TrainingEvent> | undefined,
  { step, metrics, learningRate }: { step: number; metrics: StepMetrics; learningRate: number },
): void {
  emit(onEvent, { type: "step-end", step, loss: metrics.tokenLoss + metrics.choiceLoss, ...metrics, learningRate });
}

function nextMultiple(step: number, every: number | undefined): number {
  return every === undefined ? Number.POSITIVE_INFINITY : (Math.floor(step / every) + 1) * every;
}

function isVector({ shape }: ParameterSpec): boolean {
  return shape.length < 2;
}

function countParameters(parameters: readonly ParameterSpec[]): number {
  return parameters.reduce((sum, { shape }) => sum + elementCount(shape), 0);
}

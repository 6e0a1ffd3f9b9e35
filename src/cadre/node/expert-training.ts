import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { at } from "../../core/at.js";
import { type EventHandler, emit } from "../../core/events.js";
import { wrapSystemError } from "../../core/node/system-error.js";
import { bestChoice, judge } from "../../evaluation/rank-classification.js";
import { type ChoiceScorer, createChoiceScorer, type ScoreOptions } from "../../evaluation/score-choices.js";
import { expertBatchShape, expertSteps } from "../../experts/expert-batch.js";
import { deltaOf, type ExpertRecipe, optimizerOf } from "../../experts/expert-recipe.js";
import { MAX_SCORED_CHOICE_TOKENS } from "../../mixtures/check-task-trainable.js";
import { type ExampleStream, shuffledStream } from "../../mixtures/example-stream.js";
import type { Delta } from "../../models/delta.js";
import type { ModelFolder } from "../../models/node/model-folder.js";
import type { BatchShape } from "../../models/packed-batch.js";
import type { Device } from "../../runtime/device.js";
import { availableMemory } from "../../runtime/node/available-memory.js";
import type { Tensor } from "../../tensors/tensor.js";
import type { TrainingEvent } from "../../training/events.js";
import { flopsPerStep } from "../../training/flops.js";
import { checkpointFolder } from "../../training/node/checkpoint-folder.js";
import { openMetricsFile } from "../../training/node/metrics-file.js";
import type { Optimizer } from "../../training/optimizers/optimizer.js";
import { createSchedule } from "../../training/schedules.js";
import { train } from "../../training/train.js";
import type { ExpertScore } from "../expert-score.js";
import type { TrainingData } from "../training-data.js";

/** Validations and checkpoints of a training that is not told when. */
const VALIDATIONS = 5;
/** Of equal accuracies the one of lower loss counts as better: with few rows an early validation is soon as accurate as any. */
const LOSS_SHARE = 1e-6;

/** A training of a delta or of all weights, worked out but not begun. */
export interface PreparedTraining {
  readonly data: TrainingData;
  readonly recipe: ExpertRecipe;
  /** Undefined where all weights are trained. */
  readonly delta: Delta | undefined;
  readonly optimizer: Optimizer;
  readonly shape: BatchShape;
  readonly steps: number;
  /** By the rules of DESIGN.md, padding included. */
  readonly flopsPerStep: number;
  /** Weights of the losses; that over choices is 0 where no row has any. */
  readonly losses: ExpertRecipe["losses"];
  readonly newStream: () => ExampleStream;
}

/**
 * Works out delta, shapes and steps.
 * @throws CadreError as `createDelta` says.
 */
export function prepareTraining(
  { model }: Pick<ModelFolder, "model">,
  { data, recipe }: { readonly data: TrainingData; readonly recipe: ExpertRecipe },
): PreparedTraining {
  const delta = deltaOf(recipe, model.hookPoints);
  const shape = expertBatchShape(recipe.batch, data.train);
  const newStream = () => shuffledStream(data.train, recipe.seed);
  const someChoices = data.train.some(({ targets }) => targets.length > 1);
  const { accumulate } = recipe.batch;
  return {
    data,
    recipe,
    delta,
    optimizer: optimizerOf(recipe),
    shape,
    steps: expertSteps(recipe, { rows: data.train.length, newStream, shape, padId: model.padId }),
    flopsPerStep: flopsPerStep({ model, shape, accumulate, frozen: delta !== undefined }),
    losses: { ...recipe.losses, choices: someChoices ? recipe.losses.choices : 0 },
    newStream,
  };
}

/** Options of `runTraining`. */
export interface RunTrainingOptions {
  readonly device: Device;
  readonly base: ModelFolder;
  /** Checkpoints and `metrics.jsonl`; a training that is there already goes on. */
  readonly runFolder: string;
  /** Steps between validations, each with a checkpoint if it is the best; default a fifth of the training. */
  readonly validationSteps?: number | undefined;
  /** Steps between checkpoints; default a fifth of the training. */
  readonly checkpointSteps?: number | undefined;
  /** Stops with a checkpoint. */
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: EventHandler<TrainingEvent> | undefined;
}

/** What `runTraining` returns. */
export interface TrainedTensors {
  /** Those of the best validation: the delta's, or all of the model's. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Steps done: fewer than prepared where patience was gone. */
  readonly steps: number;
  readonly trainingFlops: number;
  /** Of these tensors on the validation rows. */
  readonly score: ExpertScore;
}

/**
 * Trains with validation and checkpoints and keeps the best. A training that was killed goes on from its newest checkpoint and repeats the
 * uninterrupted one bit for bit.
 * @throws CadreError as `train` says; `out-of-memory` before it starts; `aborted`, with a checkpoint.
 */
export async function runTraining(
  prepared: PreparedTraining,
  { device, base, runFolder, validationSteps, checkpointSteps, signal, onEvent }: RunTrainingOptions,
): Promise<TrainedTensors> {
  const { data, recipe, delta, optimizer, shape, steps, losses } = prepared;
  const { model, weights } = base;
  await mkdir(runFolder, { recursive: true }).catch((error: unknown) => {
    throw wrapSystemError(error, `cannot make ${runFolder}`);
  });
  const interval = Math.ceil(steps / VALIDATIONS);
  const { schedule, learningRate, warmupSteps } = recipe;
  using metrics = openMetricsFile(join(runFolder, "metrics.jsonl"));
  await using scorer = openScorer(prepared, { device, base });
  const { step, tensors } = await train({
    device,
    model,
    weights,
    ...(delta === undefined ? {} : { delta }),
    stream: prepared.newStream(),
    batch: { ...shape, pack: recipe.batch.pack, accumulate: recipe.batch.accumulate },
    steps,
    optimizer,
    schedule: createSchedule({ kind: schedule, learningRate, warmupSteps, steps }),
    clipNorm: recipe.clipNorm,
    dropout: { rate: recipe.dropout },
    recompute: recipe.recompute,
    losses,
    seed: recipe.seed,
    memory: { availableBytes: await availableMemory() },
    checkpoints: {
      store: checkpointFolder(checkpointsOf(runFolder)),
      everySteps: checkpointSteps ?? interval,
      fingerprint: { data: data.hash },
    },
    validation: {
      everySteps: validationSteps ?? interval,
      ...(recipe.patience === undefined ? {} : { patience: recipe.patience }),
      score: async (state) => {
        const { accuracy, loss } = await scoreValidation(scorer, data, { state });
        return accuracy === undefined ? -loss : accuracy - LOSS_SHARE * loss;
      },
    },
    ...(signal === undefined ? {} : { signal }),
    onEvent: (event) => {
      metrics.onEvent(event);
      emit(onEvent, event);
    },
  });
  const score =
    delta === undefined
      ? await scoreWhole(prepared, { device, base: { model, weights: tensors }, signal })
      : await scoreValidation(scorer, data, { deltaTensors: tensors, ...(signal === undefined ? {} : { signal }) });
  return { tensors, steps: step, trainingFlops: step * prepared.flopsPerStep, score };
}

/** Where the checkpoints of a run lie. */
export function checkpointsOf(runFolder: string): string {
  return join(runFolder, "checkpoints");
}

/** Scores a model without a delta on the validation rows: the base, or one whose weights were all trained. */
export async function scoreWhole(
  { data }: Pick<PreparedTraining, "data">,
  options: {
    readonly device: Device;
    readonly base: Pick<ModelFolder, "model"> & {
      readonly weights: ModelFolder["weights"] | TrainedTensors["tensors"];
    };
    readonly signal?: AbortSignal | undefined;
  },
): Promise<ExpertScore> {
  const { device, base, signal } = options;
  await using scorer = createChoiceScorer({ device, model: base.model, weights: base.weights, ...limitsOf(data) });
  return await scoreValidation(scorer, data, signal === undefined ? {} : { signal });
}

/** Where all weights are trained, those in the training's state are scored. */
function openScorer(
  { data, delta }: PreparedTraining,
  { device, base }: Pick<RunTrainingOptions, "device" | "base">,
): ChoiceScorer {
  return createChoiceScorer({
    device,
    model: base.model,
    ...limitsOf(data),
    ...(delta === undefined ? {} : { delta, weights: base.weights }),
  });
}

function limitsOf({ validation }: TrainingData): { readonly inputLength: number; readonly targetLength: number } {
  const inputLength = validation.reduce((most, { encoded }) => Math.max(most, encoded.input.length), 1);
  return { inputLength, targetLength: MAX_SCORED_CHOICE_TOKENS };
}

async function scoreValidation(
  scorer: ChoiceScorer,
  { validation, hasChoices }: TrainingData,
  options: ScoreOptions,
): Promise<ExpertScore> {
  const { scores } = await scorer.score(
    validation.map(({ encoded }) => encoded),
    options,
  );
  const total = validation.reduce((sum, { encoded }, row) => sum + at(at(scores, row), encoded.correct), 0);
  const tokens = validation.reduce((sum, { encoded }) => sum + at(encoded.targets, encoded.correct).length, 0);
  const loss = -total / tokens;
  if (!hasChoices) {
    return { loss };
  }
  const answers = validation.map(({ example }, row) => ({
    prediction: at(example.choices ?? [], bestChoice(at(scores, row))),
    targets: example.targets,
  }));
  return { loss, accuracy: judge(answers).accuracy };
}

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { at } from "../../core/at.js";
import { type EventHandler, emit } from "../../core/events.js";
import { sha256 } from "../../core/hash.js";
import { wrapSystemError } from "../../core/node/system-error.js";
import { bestChoice, chance, judge, majorityClass } from "../../evaluation/rank-classification.js";
import { type ChoiceScorer, createChoiceScorer, type ScoreOptions } from "../../evaluation/score-choices.js";
import { deltaConfigOf, type ExpertRecipe } from "../../experts/expert-recipe.js";
import { hashBase } from "../../library/base-hash.js";
import type { Device } from "../../runtime/device.js";
import { availableMemory } from "../../runtime/node/available-memory.js";
import type { Tensor } from "../../tensors/tensor.js";
import type { TrainingEvent } from "../../training/events.js";
import { checkpointFolder } from "../../training/node/checkpoint-folder.js";
import { openMetricsFile } from "../../training/node/metrics-file.js";
import { createSchedule } from "../../training/schedules.js";
import { train } from "../../training/train.js";
import { type ExpertSetup, type ExpertSources, setUpExpert } from "./expert-setup.js";
import { holdsExpert, type SaveExpertOptions, saveExpert } from "./save-expert.js";
import { MAX_CHOICE_TOKENS, type TrainingData } from "./training-data.js";

/** Validations and checkpoints of a training whose recipe does not say when. */
const VALIDATIONS = 5;
/** Of equal accuracies the one of lower loss counts as better: with few rows an early validation is soon as accurate as any. */
const LOSS_SHARE = 1e-6;

/** How a model fares on the validation rows. */
export interface ExpertScore {
  /** Mean cross-entropy of the right answers' tokens, in nats. */
  readonly loss: number;
  /** Share of rows answered right by rank classification, 0 to 1; only where all rows have choices. */
  readonly accuracy?: number;
}

/** Sent once the data are read. */
export interface ExpertDataEvent extends Omit<TrainingData, "train" | "trainLabels" | "validation" | "hash"> {
  readonly type: "data-ready";
  readonly trainRows: number;
  readonly validationRows: number;
}

/** Sent when the base without the expert has been scored. */
export interface BaseScoredEvent {
  readonly type: "base-scored";
  readonly score: ExpertScore;
}

/** What `trainExpert` tells its handler. */
export type TrainExpertEvent = ExpertDataEvent | BaseScoredEvent | TrainingEvent;

/** Options of `trainExpert`. */
export interface TrainExpertOptions extends ExpertSources {
  readonly device: Device;
  /** The base's name in what is written: a folder or a Hub id. */
  readonly baseName: string;
  /** Folder of the run: checkpoints and `metrics.jsonl`. A run that is there already goes on. */
  readonly runFolder: string;
  /** Folder of the finished expert. */
  readonly outputFolder: string;
  /** Stops with a checkpoint. */
  readonly signal?: AbortSignal;
  readonly onEvent?: EventHandler<TrainExpertEvent>;
}

/** What `trainExpert` returns. */
export interface TrainExpertResult {
  readonly task: string;
  readonly steps: number;
  readonly outputFolder: string;
  readonly trainRows: number;
  readonly validationRows: number;
  /** The base, and the base with the expert: the best of the validations on these same rows. */
  readonly base: ExpertScore;
  readonly expert: ExpertScore;
  /** Accuracy of always saying the commonest label of the training rows, and of guessing; where there are choices. */
  readonly majority?: number;
  readonly chance?: number;
}

/**
 * Trains one expert (or all weights) of a base on one task, as the recipe says, and writes it. A run that was killed goes on from its newest
 * checkpoint and repeats the uninterrupted one bit for bit.
 * @throws CadreError as `setUpExpert`, `train` and `saveExpert` say; `out-of-memory` before the training starts; `aborted`, with a checkpoint.
 */
export async function trainExpert(options: TrainExpertOptions): Promise<TrainExpertResult> {
  const { device, recipe, runFolder, outputFolder, onEvent, signal } = options;
  await using setup = await setUpExpert(options);
  const { base, data, delta, shape, steps, losses } = setup;
  const { expert } = recipe;
  const { model, weights } = base;
  const identity = await sha256(new TextEncoder().encode(JSON.stringify([expert, steps, data.hash, options.baseName])));
  // Refused now rather than after the training.
  await holdsExpert(outputFolder, identity);
  await mkdir(runFolder, { recursive: true }).catch((error: unknown) => {
    throw wrapSystemError(error, `cannot make ${runFolder}`);
  });
  emit(onEvent, dataEvent(data));
  const baseScore = await scoreOnce(setup, { device, weights, signal });
  emit(onEvent, { type: "base-scored", score: baseScore });

  const interval = Math.ceil(steps / VALIDATIONS);
  const tensors = await (async () => {
    using metrics = openMetricsFile(join(runFolder, "metrics.jsonl"));
    await using scorer = createChoiceScorer({
      device,
      model,
      ...limitsOf(setup),
      ...(delta === undefined ? {} : { delta, weights }),
    });
    const result = await train({
      device,
      model,
      weights,
      ...(delta === undefined ? {} : { delta }),
      stream: setup.newStream(),
      batch: { ...shape, pack: expert.batch.pack, accumulate: expert.batch.accumulate },
      steps,
      optimizer: setup.optimizer,
      schedule: createSchedule({
        kind: expert.schedule,
        learningRate: expert.learningRate,
        warmupSteps: expert.warmupSteps,
        steps,
      }),
      clipNorm: expert.clipNorm,
      dropout: { rate: expert.dropout },
      recompute: expert.recompute,
      losses,
      seed: expert.seed,
      memory: { availableBytes: await availableMemory() },
      checkpoints: {
        store: checkpointFolder(join(runFolder, "checkpoints")),
        everySteps: recipe.checkpointSteps ?? interval,
        fingerprint: { data: data.hash },
      },
      validation: {
        everySteps: recipe.validationSteps ?? interval,
        score: async (state) => {
          const { accuracy, loss } = await scoreRows(scorer, data, { state });
          return accuracy === undefined ? -loss : accuracy - LOSS_SHARE * loss;
        },
      },
      ...(signal === undefined ? {} : { signal }),
      onEvent: (event) => {
        metrics.onEvent(event);
        emit(onEvent, event);
      },
    });
    return result.tensors;
  })();

  const score = await scoreOnce(setup, { device, weights: delta === undefined ? tensors : weights, tensors, signal });
  const result: TrainExpertResult = {
    task: data.name,
    steps,
    outputFolder,
    trainRows: data.train.length,
    validationRows: data.validation.length,
    base: baseScore,
    expert: score,
    ...baselines(data),
  };
  await saveExpert(outputFolder, {
    delta: deltaConfigOf(expert, model.hookPoints),
    tensors,
    base: {
      id: options.baseName,
      hash: await hashBase({ model, weights }),
      folder: options.baseFolder,
      config: base.config,
    },
    manifest: manifestOf(result, { data, recipe: expert, identity }),
  });
  return result;
}

function manifestOf(
  { task, steps, trainRows, validationRows, base, expert, majority, chance: guessing }: TrainExpertResult,
  { data, recipe, identity }: { readonly data: TrainingData; readonly recipe: ExpertRecipe; readonly identity: string },
): SaveExpertOptions["manifest"] {
  const choices = sharedChoices(data);
  const figures = {
    ...{ steps, trainRows, validationRows, loss: expert.loss, accuracy: expert.accuracy },
    ...{ baseLoss: base.loss, baseAccuracy: base.accuracy, majority, chance: guessing },
  };
  return {
    name: task,
    task,
    ...(choices === undefined ? {} : { choices }),
    metric: data.hasChoices ? "accuracy" : "loss",
    origin: { kind: "trained", recipe: { ...recipe, dataHash: data.hash } },
    identity,
    seed: recipe.seed,
    metrics: Object.fromEntries(
      Object.entries(figures).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    ),
  };
}

/** The choices where all validation rows have the same ones. */
function sharedChoices({ validation }: TrainingData): string[] | undefined {
  const [first, ...others] = validation.map(({ example }) => JSON.stringify(example.choices));
  const choices = validation[0]?.example.choices;
  return choices !== undefined && others.every((text) => text === first) ? [...choices] : undefined;
}

function dataEvent(data: TrainingData): ExpertDataEvent {
  const { name, hasChoices, repeatedRows, rowsOverLimit, truncatedRows, train: rows, validation } = data;
  return {
    type: "data-ready",
    name,
    hasChoices,
    repeatedRows,
    rowsOverLimit,
    truncatedRows,
    trainRows: rows.length,
    validationRows: validation.length,
  };
}

function limitsOf({ data }: ExpertSetup): { readonly inputLength: number; readonly targetLength: number } {
  const inputLength = data.validation.reduce((most, { encoded }) => Math.max(most, encoded.input.length), 1);
  return { inputLength, targetLength: MAX_CHOICE_TOKENS };
}

/** Scores the base, or what was trained where `tensors` are given. */
async function scoreOnce(
  setup: ExpertSetup,
  options: {
    readonly device: Device;
    readonly weights: ExpertSetup["base"]["weights"] | ReadonlyMap<string, Tensor>;
    readonly tensors?: ReadonlyMap<string, Tensor>;
    readonly signal: AbortSignal | undefined;
  },
): Promise<ExpertScore> {
  const { device, weights, tensors, signal } = options;
  const delta = tensors === undefined ? undefined : setup.delta;
  await using scorer = createChoiceScorer({
    device,
    model: setup.base.model,
    weights,
    ...limitsOf(setup),
    ...(delta === undefined ? {} : { delta }),
  });
  return scoreRows(scorer, setup.data, {
    ...(delta === undefined || tensors === undefined ? {} : { deltaTensors: tensors }),
    ...(signal === undefined ? {} : { signal }),
  });
}

async function scoreRows(
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

function baselines({ hasChoices, validation, trainLabels }: TrainingData): { majority?: number; chance?: number } {
  if (!hasChoices) {
    return {};
  }
  const prediction = majorityClass(trainLabels.map((label) => ({ targets: [label] })));
  return {
    majority: judge(validation.map(({ example }) => ({ prediction, targets: example.targets }))).accuracy,
    chance: chance(validation.map(({ example }) => ({ targets: example.targets, choices: example.choices ?? [] }))),
  };
}

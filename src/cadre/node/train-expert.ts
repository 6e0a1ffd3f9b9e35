import { type EventHandler, emit } from "../../core/events.js";
import { sha256 } from "../../core/hash.js";
import { chance, judge, majorityClass } from "../../evaluation/rank-classification.js";
import { deltaConfigOf, type ExpertRecipe } from "../../experts/expert-recipe.js";
import { hashBase } from "../../library/base-hash.js";
import type { Device } from "../../runtime/device.js";
import type { TrainingEvent } from "../../training/events.js";
import type { ExpertScore } from "../expert-score.js";
import { sharedChoices, type TrainingData } from "../training-data.js";
import { type ExpertSources, setUpExpert } from "./expert-setup.js";
import { runTraining, scoreWhole } from "./expert-training.js";
import { holdsExpert, type SaveExpertOptions, saveExpert } from "./save-expert.js";

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
  /** Of the steps: 2 for each multiply-add, recomputation not counted. */
  readonly trainingFlops: number;
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
  const { base, data } = setup;
  const { expert } = recipe;
  const { model, weights } = base;
  const identity = await sha256(
    new TextEncoder().encode(JSON.stringify([expert, setup.steps, data.hash, options.baseName])),
  );
  // Refused now rather than after the training.
  await holdsExpert(outputFolder, identity);
  emit(onEvent, dataEvent(data));
  const baseScore = await scoreWhole(setup, { device, base, signal });
  emit(onEvent, { type: "base-scored", score: baseScore });
  const { tensors, steps, score, trainingFlops } = await runTraining(setup, {
    device,
    base,
    runFolder,
    validationSteps: recipe.validationSteps,
    checkpointSteps: recipe.checkpointSteps,
    signal,
    onEvent,
  });
  const result: TrainExpertResult = {
    task: data.name,
    steps,
    outputFolder,
    trainRows: data.train.length,
    validationRows: data.validation.length,
    trainingFlops,
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
  { task, base, expert, majority, chance: guessing, ...result }: TrainExpertResult,
  { data, recipe, identity }: { readonly data: TrainingData; readonly recipe: ExpertRecipe; readonly identity: string },
): SaveExpertOptions["manifest"] {
  const choices = sharedChoices(data.validation);
  const { steps, trainRows, validationRows, trainingFlops } = result;
  const figures = {
    ...{ steps, trainRows, validationRows, trainingFlops, loss: expert.loss, accuracy: expert.accuracy },
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

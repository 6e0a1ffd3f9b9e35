import * as z from "zod";
import { at } from "../core/at.js";
import { bestChoice } from "../evaluation/rank-classification.js";
import { createChoiceScorer } from "../evaluation/score-choices.js";
import { deltaOf } from "../experts/expert-recipe.js";
import type { EncodedExample } from "../mixtures/encoded-example.js";
import type { ModelFolder } from "../models/node/model-folder.js";
import type { Report } from "../report/report.js";
import type { Device } from "../runtime/device.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { type Arm, armRecipe, LEARNING_RATES, trainArm } from "./arm.js";
import {
  type ClassificationSet,
  generateClassificationSet,
  readClassificationSet,
  withInputLength,
} from "./classification-set.js";
import { learnabilityReport } from "./learnability-report.js";
import { bestArm, compareArms, type LearnabilityRun, runSchema } from "./learnability-run.js";
import { storedResult } from "./node/stored-result.js";

/** Unseen members of seen families: one of each difficulty up to word order. */
const GENERATED = ["topic/club-bulletins", "sentiment/museum-visits", "extraction/destination-then-country"];
/** Sets of `superglue-cls`; their source data sets are in no pre-training. */
const REAL = ["agnews", "sst2", "qqp"];
/** Rows drawn from the training rows; test rows stay untouched by choices that this study is for. */
const LIMITS = { validation: 500, test: 0 };
/** Rows scored after each run. */
const SCORED_ROWS = 320;
const SCORED_STEPS = [60, 200];
/** Rows that the experts of the transfer matrix are trained on. */
const TRANSFER_ROWS = 500;
const SEED = 1;

/** Longer inputs are cut. */
const INPUT_LENGTH = 64;

const RATES = 3;

/** The arms of the study. */
export const learnabilityArms = [
  { name: "all weights, base", weights: "base", trained: "full" },
  { name: "all weights, random", weights: "random", trained: "full" },
  { name: "LoRA, base", weights: "base", trained: "lora" },
  { name: "bottleneck, base", weights: "base", trained: "bottleneck" },
] as const;

/** Options of `studyLearnability`. */
export interface LearnabilityOptions {
  readonly device: Device;
  readonly base: ModelFolder;
  readonly tokenizer: Tokenizer;
  /** `superglue-cls` */
  readonly dataFolder: string;
  /** Where the results of single runs are kept. */
  readonly resultsFolder: string;
  /** This process's share of the runs: of `of` processes the one with this number, from 0. Only the whole (0 of 1) makes the report. */
  readonly part: { readonly number: number; readonly of: number };
  readonly onRun: (done: number, total: number, run: LearnabilityRun) => void;
}

/**
 * Whether anything can be learned on a base within a few dozen steps: arms × losses × learning rates × steps on six tasks, and how experts
 * do on each other's tasks.
 */
export async function studyLearnability(options: LearnabilityOptions): Promise<Report | undefined> {
  const { tokenizer, dataFolder, part } = options;
  const sets = [
    ...(await Promise.all(REAL.map((name) => readClassificationSet(dataFolder, { name, tokenizer, limits: LIMITS })))),
    ...GENERATED.map((name) => generateClassificationSet(name, { tokenizer, limits: LIMITS })),
  ].map((set) => withInputLength(set, INPUT_LENGTH));
  // A study that is cut short has every arm on every task at the first rate before any at the second.
  const plan = Array.from({ length: RATES }, (_, rate) => rate).flatMap((rate) =>
    sets.flatMap((set) => armsOf(rate).map((entry) => ({ set, ...entry }))),
  );
  const own = plan.filter((_, index) => index % part.of === part.number);
  const runs: LearnabilityRun[] = [];
  for (const { set, armName, arm } of own) {
    const name = [set.name, armName, arm.loss, arm.learningRate].join(" ");
    const result = await storedResult(options.resultsFolder, {
      name,
      schema: runSchema,
      compute: () => runArm(options, set, arm),
    });
    const run = { set: set.name, armName, arm, ...result };
    runs.push(run);
    options.onRun(runs.length, own.length, run);
  }
  if (part.of > 1) {
    return undefined;
  }
  const expert = bestArm(compareArms(runs).filter(({ arm }) => arm.weights === "base")).arm;
  const transfer = await storedResult(options.resultsFolder, {
    name: "transfer",
    schema: z.array(z.array(z.number())),
    compute: () => transferMatrix(options, sets, expert),
  });
  return learnabilityReport({
    sets,
    runs,
    transfer,
    expert,
    scoredRows: SCORED_ROWS,
    scoredSteps: SCORED_STEPS,
  });
}

function armsOf(rate: number): { readonly armName: string; readonly arm: Arm }[] {
  return learnabilityArms.flatMap(({ name, weights, trained }) =>
    (["tokens", "tokens and choices"] as const).map((loss) => ({
      armName: name,
      arm: {
        weights,
        trained,
        loss,
        learningRate: at(LEARNING_RATES[trained], rate),
        steps: at(SCORED_STEPS, SCORED_STEPS.length - 1),
        seed: SEED,
      },
    })),
  );
}

async function runArm(
  options: LearnabilityOptions,
  set: ClassificationSet,
  arm: Arm,
): Promise<z.input<typeof runSchema>> {
  const started = performance.now();
  const scored = set.validation.examples.slice(0, SCORED_ROWS);
  const { predictions, losses } = await trainArm({
    device: options.device,
    base: options.base,
    arm,
    examples: set.train.examples,
    scored,
    scoredSteps: SCORED_STEPS,
  });
  const last = losses.slice(-20);
  return {
    accuracy: Object.fromEntries(
      Object.entries(predictions).map(([step, choices]) => [step, accuracy(scored, choices)]),
    ),
    loss: last.reduce((sum, loss) => sum + loss, 0) / last.length,
    seconds: (performance.now() - started) / 1000,
  };
}

/** Accuracy of every task's expert (row) on every task (column). */
async function transferMatrix(
  options: LearnabilityOptions,
  sets: readonly ClassificationSet[],
  arm: Arm,
): Promise<number[][]> {
  const { device, base } = options;
  const delta = deltaOf(armRecipe(arm), base.model.hookPoints);
  const rows: number[][] = [];
  for (const { train } of sets) {
    const { tensors } = await trainArm({
      device,
      base,
      arm,
      examples: train.examples.slice(0, TRANSFER_ROWS),
      scored: [],
      scoredSteps: [arm.steps],
    });
    await using scorer = createChoiceScorer({
      ...{ device, model: base.model, weights: delta === undefined ? tensors : base.weights },
      ...(delta === undefined ? {} : { delta }),
    });
    const row: number[] = [];
    for (const { validation } of sets) {
      const { scores } = await scorer.score(validation.examples, delta === undefined ? {} : { deltaTensors: tensors });
      row.push(accuracy(validation.examples, scores.map(bestChoice)));
    }
    rows.push(row);
  }
  return rows;
}

function accuracy(examples: readonly EncodedExample[], choices: readonly number[]): number {
  return examples.filter(({ correct }, index) => choices[index] === correct).length / examples.length;
}

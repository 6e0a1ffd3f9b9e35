import { parseConfig } from "../core/parse-config.js";
import { bestChoice } from "../evaluation/rank-classification.js";
import { createChoiceScorer } from "../evaluation/score-choices.js";
import { expertBatchShape } from "../experts/expert-batch.js";
import {
  deltaOf,
  type ExpertRecipe,
  expertRecipeSchema,
  expertRecipes,
  optimizerOf,
  smallBaseDeltas,
  withOverrides,
} from "../experts/expert-recipe.js";
import { withoutWrongChoices } from "../mixtures/encode-example.js";
import type { EncodedExample } from "../mixtures/encoded-example.js";
import { shuffledStream } from "../mixtures/example-stream.js";
import { initialTensors } from "../models/initialize.js";
import type { ModelFolder } from "../models/node/model-folder.js";
import type { Device } from "../runtime/device.js";
import type { Tensor } from "../tensors/tensor.js";
import { createSchedule } from "../training/schedules.js";
import { train } from "../training/train.js";

/** One way of training on a task. */
export interface Arm {
  /** Where the model's weights come from: the base, or random numbers. */
  readonly weights: "base" | "random";
  /** What is trained: all weights, or a delta on frozen ones. */
  readonly trained: Trained;
  /** Cross-entropy of the answer's tokens alone, or beside it that of the answer among the task's choices (T-Few). */
  readonly loss: "tokens" | "tokens and choices";
  readonly learningRate: number;
  readonly steps: number;
  readonly seed: number;
}

/** All weights, or a kind of delta. */
export type Trained = "full" | "lora" | "bottleneck";

/** Learning rates that are tried, the likeliest first: relative ones (Adafactor) for all weights, absolute ones (AdamW) for deltas. */
export const LEARNING_RATES: Readonly<Record<Trained, readonly number[]>> = {
  full: [0.01, 0.003, 0.03],
  lora: [1e-3, 2e-3, 5e-4],
  bottleneck: [3e-3, 1e-3, 1e-2],
};

/** How an arm is trained: as the recipe `mini`, but for what makes the arm. All weights have the optimizer whose rates are relative to them. */
export function armRecipe({ trained, loss, learningRate, steps, seed }: Arm): ExpertRecipe {
  const recipe = withOverrides("mini", {
    ...smallBaseDeltas[trained],
    ...{ learningRate, steps, seed, losses: { tokens: 1, choices: loss === "tokens" ? 0 : 1 } },
    warmupSteps: Math.min(steps, expertRecipes.mini.warmupSteps),
  });
  return parseConfig(expertRecipeSchema, recipe, { where: "arm", code: "invalid-argument" });
}

/** What `trainArm` found. */
export interface ArmResult {
  /** For each of `scoredSteps`: the numbers of the choices that the model prefers, in the order of the rows. */
  readonly predictions: Readonly<Record<string, readonly number[]>>;
  /** Mean loss of every step. */
  readonly losses: readonly number[];
  /** Trained tensors after the last step. */
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** Options of `trainArm`. */
export interface TrainArmOptions {
  readonly device: Device;
  readonly base: ModelFolder;
  readonly arm: Arm;
  readonly examples: readonly EncodedExample[];
  /** Rows that are scored after each of `scoredSteps`. */
  readonly scored: readonly EncodedExample[];
  /** Steps, the last one among them. */
  readonly scoredSteps: readonly number[];
}

/** Trains one arm and scores it on the way by rank classification. */
export async function trainArm(options: TrainArmOptions): Promise<ArmResult> {
  const { device, base, arm, examples, scored, scoredSteps } = options;
  const { model } = base;
  const recipe = armRecipe(arm);
  const delta = deltaOf(recipe, model.hookPoints);
  const seen = arm.loss === "tokens" ? examples.map(withoutWrongChoices) : examples;
  const weights =
    arm.weights === "base"
      ? base.weights
      : delta === undefined
        ? undefined
        : initialTensors(model.parameters, arm.seed);
  const predictions: Record<string, readonly number[]> = {};
  const losses: number[] = [];
  await using scorer = createChoiceScorer({
    device,
    model,
    ...(delta === undefined ? {} : { delta }),
    ...(delta === undefined || weights === undefined ? {} : { weights }),
  });
  let validations = 0;
  const interval = scoredSteps.reduce(greatestCommonDivisor);
  let tensors: ReadonlyMap<string, Tensor> = new Map();
  await train({
    device,
    model,
    ...(weights === undefined ? {} : { weights }),
    ...(delta === undefined ? {} : { delta }),
    stream: shuffledStream(seen, arm.seed),
    batch: { ...expertBatchShape(recipe.batch, seen), pack: recipe.batch.pack, accumulate: recipe.batch.accumulate },
    steps: arm.steps,
    optimizer: optimizerOf(recipe),
    schedule: createSchedule({
      kind: recipe.schedule,
      learningRate: recipe.learningRate,
      warmupSteps: recipe.warmupSteps,
      steps: arm.steps,
    }),
    clipNorm: recipe.clipNorm,
    dropout: { rate: recipe.dropout },
    losses: recipe.losses,
    seed: arm.seed,
    validation: {
      everySteps: interval,
      score: async (state) => {
        validations++;
        const step = validations * interval;
        if (scoredSteps.includes(step)) {
          const { scores } = await scorer.score(scored, { state });
          predictions[step] = scores.map(bestChoice);
        }
        if (step === arm.steps) {
          tensors = await state.read((delta?.parameters ?? model.parameters).map(({ name }) => name));
        }
        // No step is better than another: the last one counts.
        return Number.NaN;
      },
    },
    onEvent: (event) => {
      if (event.type === "step-end") {
        losses.push(event.loss);
      }
    },
  });
  return { predictions, losses, tensors };
}

function greatestCommonDivisor(first: number, second: number): number {
  return second === 0 ? first : greatestCommonDivisor(second, first % second);
}

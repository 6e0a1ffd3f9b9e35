import { at } from "../core/at.js";
import { bestChoice } from "../evaluation/rank-classification.js";
import { createChoiceScorer } from "../evaluation/score-choices.js";
import { createDelta, type DeltaConfig } from "../experts/delta-config.js";
import { withoutWrongChoices } from "../mixtures/encode-example.js";
import type { EncodedExample } from "../mixtures/encoded-example.js";
import { shuffledStream } from "../mixtures/example-stream.js";
import type { Delta } from "../models/delta.js";
import { initialTensors } from "../models/initialize.js";
import type { ModelFolder } from "../models/node/model-folder.js";
import type { Device } from "../runtime/device.js";
import type { Tensor } from "../tensors/tensor.js";
import { adafactor, adafactorPresets } from "../training/optimizers/adafactor.js";
import { adamW } from "../training/optimizers/adamw.js";
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

/** Rank, width and targets of the deltas. */
const DELTAS: Readonly<Record<Exclude<Trained, "full">, DeltaConfig>> = {
  lora: {
    kind: "lora",
    // The embedding matters: with a small base, much of a task is what its words stand for.
    config: { rank: 16, alpha: 32, targets: ["q", "k", "v", "o", "wi_0", "wi_1", "wo", "encoder.embed_tokens"] },
  },
  bottleneck: { kind: "bottleneck", config: { width: 32 } },
};

/** Examples of a step, on average: packs are filled from the stream. */
export const ROWS_PER_STEP = 32;
const PACKS = 4;
const CLIP_NORM = 1;
const WARMUP_STEPS = 10;

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

/** Trains one arm with a constant learning rate and scores it on the way by rank classification. */
export async function trainArm(options: TrainArmOptions): Promise<ArmResult> {
  const { device, base, arm, examples, scored, scoredSteps } = options;
  const { model } = base;
  const delta = deltaOf(arm, base);
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
    batch: batchShape(seen),
    steps: arm.steps,
    optimizer: delta === undefined ? adafactor(adafactorPresets.t5x) : adamW(),
    schedule: createSchedule({
      kind: "constant",
      learningRate: arm.learningRate,
      warmupSteps: WARMUP_STEPS,
      steps: arm.steps,
    }),
    clipNorm: CLIP_NORM,
    losses: { tokens: 1, choices: arm.loss === "tokens" ? 0 : 1 },
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

/** What the arm's delta adds to the base's model; none where all weights are trained. */
export function deltaOf({ trained }: Pick<Arm, "trained">, { model }: Pick<ModelFolder, "model">): Delta | undefined {
  return trained === "full" ? undefined : createDelta(DELTAS[trained], model.hookPoints);
}

/** Packs with room for `ROWS_PER_STEP` examples of mean length; the longest example fits too. */
function batchShape(examples: readonly EncodedExample[]) {
  const mean = (lengths: readonly number[]): number =>
    lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
  const sideLength = (lengths: readonly number[], largest: number): number => {
    const wanted = Math.max((1.05 * mean(lengths) * ROWS_PER_STEP) / PACKS, Math.max(...lengths));
    return Math.min(largest, 16 * Math.ceil(wanted / 16));
  };
  return {
    rows: PACKS,
    inputLength: sideLength(
      examples.map(({ input }) => input.length),
      MAX_INPUT,
    ),
    targetLength: sideLength(
      examples.map(({ targets }) => targets.reduce((sum, { length }) => sum + length, 0)),
      MAX_TARGET,
    ),
    sequences: Math.ceil((1.5 * ROWS_PER_STEP * at(examples, 0).targets.length) / PACKS),
  };
}

const MAX_INPUT = 1024;
const MAX_TARGET = 1024;

function greatestCommonDivisor(first: number, second: number): number {
  return second === 0 ? first : greatestCommonDivisor(second, first % second);
}

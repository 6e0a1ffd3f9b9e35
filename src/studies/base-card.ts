import * as z from "zod";
import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import { mean } from "../core/numbers.js";
import { trainBagOfWords } from "../evaluation/bag-of-words.js";
import { majorityClass } from "../evaluation/rank-classification.js";
import type { ModelFolder } from "../models/node/model-folder.js";
import type { Report } from "../report/report.js";
import type { Device } from "../runtime/device.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { type Trained, trainArm } from "./arm.js";
import { baseCardReport } from "./base-card-report.js";
import type { CardArm, CardArmResult, CardRecipe, CardResult } from "./base-card-result.js";
import { type ClassificationSet, readClassificationSet, withInputLength } from "./classification-set.js";
import { storedResult } from "./node/stored-result.js";

/** Sets of `superglue-cls`; their source data sets are in no pre-training. CB, COPA, WiC and MultiRC are left out: too few rows. */
export const CARD_SETS = ["agnews", "amazon", "boolq", "dbpedia", "imdb", "mnli", "qqp", "rte", "sst2", "yelp"];
const LIMITS = { validation: 200, test: 320 };
const SEEDS = [1, 2, 3];
/** Longer inputs are cut, for every arm alike. */
const INPUT_LENGTH = 128;

const runSchema = z.object({
  /** By the number of steps. */
  after: z.record(
    z.string(),
    z.object({
      validationAccuracy: z.number(),
      /** 1 for every test row that is answered right. */
      correct: z.array(z.number()),
    }),
  ),
  seconds: z.number(),
});

const baselineSchema = z.object({ bagOfWords: z.array(z.number()), majority: z.array(z.number()) });

/** A run that has ended. */
export interface CardRunProgress {
  readonly set: string;
  readonly arm: CardArm;
  readonly learningRate: number;
  readonly seed: number;
  /** After each number of steps. */
  readonly validationAccuracies: readonly number[];
  readonly seconds: number;
}

/** Options of `studyBaseCard`. */
export interface BaseCardOptions {
  readonly device: Device;
  readonly base: ModelFolder;
  readonly tokenizer: Tokenizer;
  /** `superglue-cls` */
  readonly dataFolder: string;
  /** Where the results of single runs on the base's weights are kept. */
  readonly resultsFolder: string;
  /** Where those from random numbers and those of the baselines are: they hold for all bases of this shape and tokenizer. */
  readonly anyWeightsResultsFolder: string;
  readonly recipe: CardRecipe;
  /** Some of `CARD_SETS`. */
  readonly sets: readonly string[];
  /** This process's share of the sets: of `of` processes the one with this number, from 0. Only the whole (0 of 1) makes the report. */
  readonly part: { readonly number: number; readonly of: number };
  readonly onRun: (run: CardRunProgress) => void;
}

/**
 * The table of a base's card: for ten classification sets, at equal steps, what an expert on the base reaches, and what it reaches without
 * the base's pre-training. Every arm tries the same number of learning rates at the first seed, chosen on validation rows for each number of
 * steps, and then trains with three seeds at that rate; test rows are the same for all.
 */
export async function studyBaseCard(options: BaseCardOptions): Promise<Report | undefined> {
  const { tokenizer, dataFolder, part, recipe } = options;
  const results: { readonly steps: number; readonly sets: CardResult[] }[] = recipe.steps.map((steps) => ({
    steps,
    sets: [],
  }));
  for (const name of options.sets.filter((_, index) => index % part.of === part.number)) {
    const set = withInputLength(
      await readClassificationSet(dataFolder, { name, tokenizer, limits: LIMITS }),
      INPUT_LENGTH,
    );
    const baselines = await storedResult(options.anyWeightsResultsFolder, {
      name: `${name} baselines`,
      schema: baselineSchema,
      compute: async () => baselinesOf(set),
    });
    for (const { steps, sets } of results) {
      const armOf = (arm: CardArm) => sweepArm(options, set, { arm, steps });
      sets.push({
        set: name,
        choices: set.choices.length,
        trainRows: set.train.examples.length,
        arms: {
          "expert on the base": await armOf("expert on the base"),
          "all weights from random": await armOf("all weights from random"),
          "adapters on frozen random weights": await armOf("adapters on frozen random weights"),
        },
        ...baselines,
      });
    }
  }
  return part.of === 1
    ? baseCardReport(results, { recipe, seeds: SEEDS.length, inputLength: INPUT_LENGTH })
    : undefined;
}

/** The learning rate that is best at the first seed on validation rows, then all seeds at that rate. */
async function sweepArm(
  options: BaseCardOptions,
  set: ClassificationSet,
  { arm, steps }: { readonly arm: CardArm; readonly steps: number },
): Promise<CardArmResult> {
  const tried = [];
  for (const learningRate of options.recipe.learningRates[trainedOf(arm, options.recipe)]) {
    const { after } = await runOf(options, { set, arm, learningRate, seed: at(SEEDS, 0) });
    tried.push({ learningRate, ...resultAfter(after, steps) });
  }
  const best = tried.reduce((first, next) => (next.validationAccuracy > first.validationAccuracy ? next : first));
  const correct = [best.correct];
  for (const seed of SEEDS.slice(1)) {
    const { after } = await runOf(options, { set, arm, learningRate: best.learningRate, seed });
    correct.push(resultAfter(after, steps).correct);
  }
  return { learningRate: best.learningRate, correct };
}

function resultAfter(after: z.output<typeof runSchema>["after"], steps: number) {
  const result = after[String(steps)];
  if (result === undefined) throw new CadreError("internal", `base card: expected a result after ${steps} steps`);
  return result;
}

function trainedOf(arm: CardArm, { expert, adapter }: CardRecipe): Trained {
  switch (arm) {
    case "expert on the base":
      return expert;
    case "all weights from random":
      return "full";
    case "adapters on frozen random weights":
      return adapter;
  }
}

function runOf(
  options: BaseCardOptions,
  {
    set,
    arm,
    learningRate,
    seed,
  }: { readonly set: ClassificationSet; readonly arm: CardArm; readonly learningRate: number; readonly seed: number },
): Promise<z.output<typeof runSchema>> {
  const { recipe } = options;
  const weights = arm === "expert on the base" ? "base" : "random";
  return storedResult(weights === "base" ? options.resultsFolder : options.anyWeightsResultsFolder, {
    name: [set.name, arm, learningRate, `seed ${seed}`].join(" "),
    schema: runSchema,
    compute: async () => {
      const started = performance.now();
      const scored = [...set.validation.examples, ...set.test.examples];
      const { predictions } = await trainArm({
        device: options.device,
        base: options.base,
        arm: {
          weights,
          trained: trainedOf(arm, recipe),
          loss: recipe.loss,
          learningRate,
          steps: Math.max(...recipe.steps),
          seed,
        },
        examples: set.train.examples,
        scored,
        scoredSteps: recipe.steps,
      });
      const after = recipe.steps.map((steps) => {
        const chosen = predictions[String(steps)] ?? [];
        const right = scored.map(({ correct }, row) => (chosen[row] === correct ? 1 : 0));
        const count = set.validation.examples.length;
        return { steps, validationAccuracy: mean(right.slice(0, count)), correct: right.slice(count) };
      });
      const seconds = (performance.now() - started) / 1000;
      options.onRun({
        ...{ set: set.name, arm, learningRate, seed, seconds },
        validationAccuracies: after.map(({ validationAccuracy }) => validationAccuracy),
      });
      return { after: Object.fromEntries(after.map(({ steps, ...result }) => [steps, result])), seconds };
    },
  });
}

/** For the baselines nothing is cut: they shall not be weak. */
function baselinesOf({ train, validation, test, choices }: ClassificationSet): z.input<typeof baselineSchema> {
  const pairs = ({ texts, labels }: ClassificationSet["train"]) =>
    texts.map((text, row) => ({ text, target: at(labels, row) }));
  const bag = trainBagOfWords({ train: pairs(train), validation: pairs(validation), choices });
  const majority = majorityClass(train.labels.map((label) => ({ targets: [label] })));
  return {
    bagOfWords: test.texts.map((text, row) => (bag.predict(text) === test.labels[row] ? 1 : 0)),
    majority: test.labels.map((label) => (label === majority ? 1 : 0)),
  };
}

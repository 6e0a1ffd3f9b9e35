import * as z from "zod";
import { CadreError } from "../core/errors.js";
import { parseConfig } from "../core/parse-config.js";
import type { BatchShape } from "../models/packed-batch.js";
import { adafactor, adafactorPresets } from "../training/optimizers/adafactor.js";

const count = z.int().positive();
const weight = z.number().nonnegative();

/** Text files or folders of them, paths relative to `root`. */
const textSchema = z.strictObject({
  paths: z.array(z.string().min(1)).min(1),
  /** What kind of text it is, e.g. `story`; an answer of one of the tasks that are derived from text. */
  kind: z.string().min(1).default("text"),
  /** How often its tokens are seen, compared with those of the other entries; default 1. */
  weight: z.number().positive().default(1),
});

const recipeSchema = z
  .strictObject({
    format: z.literal("cadre-pretraining"),
    formatVersion: z.literal(1),
    /** Folder with `tokenizer.json`. */
    tokenizer: z.string().min(1),
    /** Where the paths of text and instructions begin. */
    root: z.string().min(1),
    /** List of the files that may be used, with licences and hashes; every file used must be in it. */
    sources: z.string().optional(),
    /** List of the files that must not be used; text that overlaps with them is left out. */
    heldout: z.string().optional(),
    text: z.array(textSchema).min(1),
    /** Text files that are only for validation. */
    validation: z.array(z.string().min(1)).min(1),
    /** Instruction files, paths relative to `root`; `all` for every such file of the sources. */
    instructions: z.union([z.literal("all"), z.array(z.string().min(1))]).default([]),
    /** What is drawn how often; in proportion to input tokens. */
    mixture: z.strictObject({
      spanCorruption: weight,
      prefixLm: weight,
      derived: weight,
      generated: weight,
      instructions: weight,
      /** Which of eight words stands near a text. */
      subjectWord: weight.default(0),
      /** How a text sounds, as `feelingWords` say. */
      feeling: weight.default(0),
    }),
    /** File of words and how good they sound: a word of small letters, a tab, a number from -4 to 4 in each line. */
    feelingWords: z.string().min(1).optional(),
    /** Folder of a base whose weights the run starts from; absent: from random numbers or word vectors. */
    start: z.string().min(1).optional(),
    /** Weights of the loss over the answers' tokens and of the loss over the choices of examples that have some. */
    losses: z.strictObject({ tokens: weight, choices: weight }).default({ tokens: 1, choices: 1 }),
    /** Start the embeddings from word vectors of the text, counted over so many pieces to each side; absent: from random numbers. */
    wordVectors: z.strictObject({ window: count }).optional(),
    /** `config.json` of the model; its vocabulary size is that of the tokenizer. */
    model: z.record(z.string(), z.json()),
    /** Tokens of a window of text. */
    window: count,
    batch: z.strictObject({ rows: count, inputLength: count, targetLength: count }),
    steps: count,
    learningRate: z.number().positive(),
    warmupSteps: z.int().nonnegative(),
    /** The last steps, over which the learning rate falls to 0. */
    decaySteps: z.int().nonnegative(),
    dropout: z.number().min(0).lt(1).default(0),
    clipNorm: z.number().positive().default(1),
    seed: z
      .int()
      .min(0)
      .max(2 ** 32 - 1)
      .default(1),
    checkpointSteps: count.default(200),
    validationSteps: count.default(200),
  })
  .refine(({ mixture }) => Object.values(mixture).some((share) => share > 0), {
    path: ["mixture"],
    error: "expected a share above 0",
  })
  .refine(({ mixture, feelingWords }) => mixture.feeling === 0 || feelingWords !== undefined, {
    path: ["feelingWords"],
    error: "expected a file of words, as the mixture holds feeling",
  })
  .refine(({ start, wordVectors }) => start === undefined || wordVectors === undefined, {
    path: ["wordVectors"],
    error: "expected none beside start: the embeddings are those of the base",
  })
  .refine(({ warmupSteps, decaySteps, steps }) => warmupSteps + decaySteps <= steps, {
    path: ["decaySteps"],
    error: "expected warmupSteps + decaySteps of at most steps",
  });

/** How a base is pre-trained; the content of a recipe for `cadre pretrain`. */
export type PretrainingRecipe = z.output<typeof recipeSchema>;

/** The recipe's batch; every example may be a sequence of its own, however short. */
export function batchShapeOf({ batch }: PretrainingRecipe): BatchShape {
  return { ...batch, sequences: batch.inputLength };
}

/** As T5 v1.1 was pre-trained; recipes name no other. */
export const pretrainingOptimizer = adafactor(adafactorPresets.t5x);

/** @throws CadreError `invalid-config` naming every field that is wrong; `unsupported` for a newer format version. */
export function parsePretrainingRecipe(value: unknown, where: string): PretrainingRecipe {
  const version = z.looseObject({ formatVersion: z.number() }).safeParse(value);
  if (version.success && version.data.formatVersion > 1) {
    throw new CadreError(
      "unsupported",
      `${where}: expected format version 1, got ${version.data.formatVersion}; update cadre`,
    );
  }
  return parseConfig(recipeSchema, value, {
    where: `${where}: expected a recipe of cadre pretrain`,
    code: "invalid-config",
  });
}

import { CadreError } from "../core/errors.js";
import { mean } from "../core/numbers.js";
import type { EncodedExample } from "../mixtures/encoded-example.js";
import type { ExampleStream } from "../mixtures/example-stream.js";
import { createPacker } from "../mixtures/pack.js";
import type { BatchShape } from "../models/packed-batch.js";
import type { ExpertRecipe } from "./expert-recipe.js";

/** Lengths are multiples of it. */
const LENGTH_STEP = 16;
/** Packs that a batch of short examples is laid out in, and tokens of a pack above which there are more packs instead. */
const PACKS = 4;
const PACK_LENGTH = 1024;
/** Room of packs over the mean: the last examples of a batch find some of it taken. */
const SPARE_TOKENS = 1.05;
const SPARE_SEQUENCES = 1.5;

/**
 * The shape of a recipe's batches for a task: no longer than its examples need, and where they are packed, with room for `rows` examples of mean
 * length, so that a step sees about as many.
 * @param examples Not empty, cut to the recipe's lengths.
 */
export function expertBatchShape(batch: ExpertRecipe["batch"], examples: readonly EncodedExample[]): BatchShape {
  const inputs = examples.map(({ input }) => input.length);
  const targets = examples.map(({ targets: all }) => all.reduce((sum, { length }) => sum + length, 0));
  const choices = examples.map(({ targets: all }) => all.length);
  if (!batch.pack) {
    return {
      rows: batch.rows,
      inputLength: roundUp(largest(inputs)),
      targetLength: roundUp(largest(targets)),
      sequences: largest(choices),
    };
  }
  const tokens = (lengths: readonly number[]): number => SPARE_TOKENS * mean(lengths) * batch.rows;
  const packsFor = (lengths: readonly number[]): number => {
    const length = Math.max(largest(lengths), Math.min(PACK_LENGTH, tokens(lengths) / PACKS));
    return Math.ceil(tokens(lengths) / length);
  };
  const rows = Math.min(batch.rows, Math.max(packsFor(inputs), packsFor(targets)));
  const lengthFor = (lengths: readonly number[]): number => roundUp(Math.max(largest(lengths), tokens(lengths) / rows));
  return {
    rows,
    inputLength: lengthFor(inputs),
    targetLength: lengthFor(targets),
    sequences: Math.max(largest(choices), Math.ceil((SPARE_SEQUENCES * mean(choices) * batch.rows) / rows)),
  };
}

/**
 * Steps after which every row was seen `epochs` times; `steps` if the recipe says so.
 * @param newStream A stream of the training's examples from its start.
 */
export function expertSteps(
  recipe: Pick<ExpertRecipe, "steps" | "epochs" | "batch">,
  data: {
    readonly rows: number;
    readonly newStream: () => ExampleStream;
    readonly shape: BatchShape;
    readonly padId: number;
  },
): number {
  const { steps, epochs, batch } = recipe;
  if (steps !== undefined) {
    return steps;
  }
  if (epochs === undefined) {
    throw new CadreError("invalid-argument", "expertSteps: expected steps or epochs, got neither");
  }
  const wanted = Math.ceil(epochs * data.rows);
  if (!batch.pack) {
    return Math.ceil(wanted / (batch.rows * batch.accumulate));
  }
  const packer = createPacker({ stream: data.newStream(), shape: data.shape, padId: data.padId });
  let batches = 0;
  while (packer.counts().examples < wanted) {
    packer.next();
    batches++;
  }
  return Math.ceil(batches / batch.accumulate);
}

function largest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), 1);
}

function roundUp(length: number): number {
  return LENGTH_STEP * Math.ceil(length / LENGTH_STEP);
}

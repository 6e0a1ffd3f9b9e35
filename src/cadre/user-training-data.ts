import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import { sha256 } from "../core/hash.js";
import type { ExpertRecipe } from "../experts/expert-recipe.js";
import { whyNotTrainable } from "../mixtures/check-task-trainable.js";
import { sampleIndices } from "../routing/sample.js";
import { countProblems, type UserExample, type UserTask } from "../tasks/user-task.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { encodeTrainingData, type TrainingData } from "./training-data.js";

/** Validation rows that are scored while a training runs: enough to tell good weights from better ones, few enough not to slow it down. */
export const MOST_VALIDATION_ROWS = 400;

/** A task's data, and the examples that they were made from. */
export interface UserTrainingData extends TrainingData {
  /** In the order of `train`. */
  readonly trainExamples: readonly UserExample[];
}

/** Options of {@link userTrainingData}. */
export interface UserTrainingOptions {
  readonly recipe: ExpertRecipe;
  readonly tokenizer: Tokenizer;
  /** Number of the only template whose examples are taken; default all. */
  readonly template?: number;
}

/**
 * What an expert of a person's task is trained on: the training split, of which at most the recipe's `maxRows` are drawn by its seed, and up to
 * {@link MOST_VALIDATION_ROWS} of the validation split.
 * @throws CadreError `invalid-file` for a task from which nothing can be learned: without rows in one of the splits, with one answer only, with
 * choices that are too long (see `whyNotTrainable`); `invalid-config` as `encodeTrainingData`.
 */
export async function userTrainingData(
  task: UserTask,
  { recipe, tokenizer, template }: UserTrainingOptions,
): Promise<UserTrainingData> {
  const name = expertNameOf(task, template);
  const of = (examples: readonly UserExample[]): readonly UserExample[] =>
    template === undefined ? examples : examples.filter((example) => example.template === template);
  const { splits } = task;
  const [available, validating, test] = [of(splits.train), of(splits.validation), of(splits.test)];
  const refusal = whyNotTrainable(
    { train: available, validation: validating, test, badRows: countProblems(task) },
    { tokenizer, targetLength: recipe.batch.targetLength, learnsChoices: recipe.losses.choices > 0 },
  );
  if (refusal !== undefined) throw new CadreError("invalid-file", `${name}: ${refusal}`);
  const validation = drawn(validating, { most: MOST_VALIDATION_ROWS, seed: recipe.seed });
  const train = drawn(available, { most: recipe.maxRows, seed: recipe.seed });
  const placed = (examples: readonly UserExample[]) =>
    examples.map((example) => ({ example, where: `${example.place.file}: line ${example.place.line}` }));
  const data = await encodeTrainingData(
    {
      name,
      where: name,
      train: placed(train),
      validation: placed(validation),
      repeatedRows: 0,
      rowsOverLimit: available.length - train.length,
    },
    { recipe, tokenizer },
  );
  return { ...data, trainExamples: train };
}

/** The name of an expert of a task: the task's, and where it knows one template only, that of the template behind it. */
export function expertNameOf({ name, templates }: Pick<UserTask, "name" | "templates">, template?: number): string {
  return template === undefined ? name : `${name} / ${at(templates, template).name}`;
}

/**
 * The data of several tasks as those of one model: all training rows, so that each task counts by its examples, and of all validation rows up to
 * {@link MOST_VALIDATION_ROWS} drawn by seed.
 * @param parts at least one
 */
export async function joinTrainingData(
  parts: readonly TrainingData[],
  { name, seed }: { readonly name: string; readonly seed: number },
): Promise<TrainingData> {
  const sum = (count: (part: TrainingData) => number): number => parts.reduce((total, part) => total + count(part), 0);
  const validation = drawn(
    parts.flatMap((part) => part.validation),
    { most: MOST_VALIDATION_ROWS, seed },
  );
  return {
    name,
    train: parts.flatMap(({ train }) => train),
    trainLabels: parts.flatMap(({ trainLabels }) => trainLabels),
    validation,
    hasChoices: validation.every(({ encoded }) => encoded.targets.length > 1),
    repeatedRows: sum(({ repeatedRows }) => repeatedRows),
    rowsOverLimit: sum(({ rowsOverLimit }) => rowsOverLimit),
    truncatedRows: sum(({ truncatedRows }) => truncatedRows),
    hash: await sha256(new TextEncoder().encode(parts.map(({ hash }) => hash).join())),
  };
}

function drawn<Item>(
  items: readonly Item[],
  { most, seed }: { readonly most: number; readonly seed: number },
): readonly Item[] {
  return sampleIndices({ available: items.length, most, seed }).map((index) => at(items, index));
}

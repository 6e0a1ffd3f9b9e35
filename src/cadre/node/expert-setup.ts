import { type ModelFolder, openModelFolder } from "../../models/node/model-folder.js";
import { openTokenizer } from "../../tokenizers/node/open-tokenizer.js";
import type { TrainingRecipe } from "../training-recipe.js";
import { type PreparedTraining, prepareTraining } from "./expert-training.js";
import { readTrainingData } from "./training-data.js";

/** What a training of one expert is made from. */
export interface ExpertSources {
  readonly recipe: TrainingRecipe;
  /** Where the recipe's relative paths begin. */
  readonly recipeFolder: string;
  /** Folder of the base; `resolveBase` finds it. */
  readonly baseFolder: string;
}

/** A training of one expert, ready to begin. */
export interface ExpertSetup extends PreparedTraining, AsyncDisposable {
  readonly base: ModelFolder;
}

/**
 * Opens the base, reads the data and works out shapes and steps; trains nothing.
 * @throws CadreError as `openModelFolder`, `readTrainingData` and `createDelta` say.
 */
export async function setUpExpert({ recipe, recipeFolder, baseFolder }: ExpertSources): Promise<ExpertSetup> {
  const tokenizer = await openTokenizer(baseFolder);
  const data = await readTrainingData(recipe, { recipeFolder, tokenizer });
  const base = await openModelFolder(baseFolder);
  const close = (): PromiseLike<void> => base[Symbol.asyncDispose]();
  try {
    return { base, ...prepareTraining(base, { data, recipe: recipe.expert }), [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

import { dirname, resolve } from "node:path";
import { CadreError } from "../../core/errors.js";
import { hashFile } from "../../core/node/hash-file.js";
import type { Sources } from "../../mixtures/sources.js";
import type { FeelingWords } from "../../tasks/derived/feeling.js";
import { readFeelingWords } from "../../tasks/node/read-feeling-words.js";
import type { PretrainingRecipe } from "../pretraining-recipe.js";

/**
 * The words that a recipe names; none where it names no file.
 * @throws CadreError as `readFeelingWords` says; `invalid-file` for a file that the sources do not list, or list with another hash.
 */
export async function readWordsOfRecipe(
  recipe: PretrainingRecipe,
  { recipeFolder, sources }: { readonly recipeFolder: string; readonly sources: Sources | undefined },
): Promise<FeelingWords> {
  if (recipe.feelingWords === undefined) return new Map();
  const path = resolve(recipeFolder, recipe.feelingWords);
  if (sources !== undefined && recipe.sources !== undefined) {
    const folder = dirname(resolve(recipeFolder, recipe.sources));
    const listed = sources.wordLists.find((list) => resolve(folder, list.path) === path);
    if (listed === undefined) {
      throw new CadreError(
        "invalid-file",
        `${path}: expected a word list of ${recipe.sources}, but it is not in it; list it under wordLists with its licence`,
      );
    }
    const sha256 = await hashFile(path);
    if (sha256 !== listed.sha256) {
      throw new CadreError(
        "invalid-file",
        `${path}: expected the content that the list of sources names (sha256 ${listed.sha256}), found another one (${sha256})`,
      );
    }
  }
  return readFeelingWords(path);
}

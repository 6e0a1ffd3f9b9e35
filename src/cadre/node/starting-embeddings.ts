import { join } from "node:path";
import { CadreError } from "../../core/errors.js";
import { pointwiseMutualInformation } from "../../mixtures/cooccurrence.js";
import type { Model } from "../../models/model.js";
import { EMBEDDING, OUTPUT_PROJECTION } from "../../models/t5/parameters.js";
import { openSafetensors, writeSafetensors } from "../../tensors/node/safetensors-file.js";
import { hasDType, type Tensor } from "../../tensors/tensor.js";
import { wordVectors } from "../../training/word-vectors.js";
import type { PretrainingRecipe } from "../pretraining-recipe.js";
import type { PretrainingSources } from "../pretraining-stream.js";

const FILE = "word-vectors.safetensors";
const NAME = "vectors";

/**
 * Embeddings to start a pre-training from, where the recipe asks for word vectors: both tables, each scaled as its initializer would be. The vectors are
 * kept in the run's folder, so that a run that goes on starts from the same bits.
 * @throws CadreError as `pointwiseMutualInformation` says; `mismatch` where the kept vectors are not those of this model.
 */
export async function startingEmbeddings(
  { wordVectors: options, seed }: Pick<PretrainingRecipe, "wordVectors" | "seed">,
  {
    model,
    sources,
    runFolder,
  }: { readonly model: Model; readonly sources: PretrainingSources; readonly runFolder: string },
): Promise<ReadonlyMap<string, Tensor> | undefined> {
  if (options === undefined) {
    return undefined;
  }
  const tables = model.parameters.filter(({ name }) => name === EMBEDDING || name === OUTPUT_PROJECTION);
  const [vocabularySize = 0, width = 0] = tables[0]?.shape ?? [];
  const path = join(runFolder, FILE);
  const kept = await readKept(path);
  const vectors =
    kept ??
    wordVectors(
      pointwiseMutualInformation(
        sources.groups.flatMap(({ texts }) => texts.map(({ tokens }) => tokens)),
        { vocabularySize, window: options.window },
      ),
      { width, seed },
    );
  if (vectors.shape[0] !== vocabularySize || vectors.shape[1] !== width) {
    throw new CadreError(
      "mismatch",
      `${path}: expected vectors of shape ${vocabularySize}×${width}, got ${vectors.shape.join("×")}; they belong to another recipe: choose another run folder`,
    );
  }
  if (kept === undefined) {
    await writeSafetensors(path, new Map([[NAME, vectors]]));
  }
  return new Map(
    tables.map(({ name, shape, initializer }) => {
      const scale = initializer.kind === "normal" ? initializer.standardDeviation : 1;
      return [name, { dtype: "float32" as const, shape, data: vectors.data.map((value) => value * scale) }];
    }),
  );
}

async function readKept(path: string): Promise<Tensor<"float32"> | undefined> {
  try {
    const file = await openSafetensors(path);
    try {
      const tensor = await file.read(NAME);
      return hasDType(tensor, "float32") ? tensor : undefined;
    } finally {
      await file.close();
    }
  } catch (error) {
    if (CadreError.isInstance(error) && error.code === "not-found") {
      return undefined;
    }
    throw error;
  }
}

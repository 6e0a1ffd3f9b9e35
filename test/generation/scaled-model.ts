import type { Model } from "../../src/models/model.js";
import { floatsOf, readModel, type TensorMap } from "../parity/fixture.js";

/** A fixture model as the fixtures of generation use it: with smaller embeddings, ended by another token. */
export async function readScaledModel(
  name: string,
  { embeddingScale, endId }: { readonly embeddingScale: number; readonly endId: number },
): Promise<{ readonly model: Model; readonly weights: TensorMap }> {
  const { model, weights } = await readModel(name);
  const embedding = floatsOf(weights, "shared.weight").map((value) => value * embeddingScale);
  const scaled = new Map(weights).set("shared.weight", {
    dtype: "float32",
    shape: [model.vocabularySize, embedding.length / model.vocabularySize],
    data: embedding,
  });
  return { model: { ...model, endId }, weights: scaled };
}

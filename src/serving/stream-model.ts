import type { TextPart } from "../cadre/cadre.js";
import type { ServedModel, ServedModels } from "./models.js";

/**
 * The parts of a model's streamed answer; as {@link ServedModels.ask}, with a second attempt only as long as no part has come.
 * @param open Begins an answer.
 */
export async function* streamModel(
  models: ServedModels,
  name: string,
  open: (model: ServedModel) => AsyncGenerator<TextPart, void, undefined>,
): AsyncGenerator<TextPart, void, undefined> {
  const { parts, first } = await models.ask(name, async (model) => {
    const begun = open(model);
    return { parts: begun, first: await begun.next() };
  });
  try {
    for (let next = first; !next.done; next = await parts.next()) yield next.value;
  } finally {
    await parts.return();
  }
}

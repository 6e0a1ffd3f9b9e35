import * as z from "zod";

/** `model` of every body. */
export const modelField = z
  .string({ error: 'expected the name of a model, e.g. "auto"; GET /v1/models lists them' })
  .min(1)
  .max(500);

/** A list of texts, none of them empty. */
export function textList(most: number, tooMany: string) {
  return z
    .array(
      z.string({ error: "expected a text; token ids are not taken" }).min(1, "expected a text, found an empty one"),
      { error: "expected a list of texts" },
    )
    .max(most, tooMany);
}

/** A text, or a list of so many; read as a list. */
export function textsField(most: number) {
  return z.preprocess(
    (value) => (typeof value === "string" ? [value] : value),
    textList(most, `expected at most ${most} texts (the limit inputs); token ids are not taken`).min(
      1,
      "expected at least one text, found an empty list",
    ),
  );
}

/** The fields that have a value. */
export function present<Fields extends object>(fields: Fields): { [Name in keyof Fields]?: NonNullable<Fields[Name]> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(entries) as { [Name in keyof Fields]?: NonNullable<Fields[Name]> };
}

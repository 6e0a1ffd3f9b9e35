import * as z from "zod";

const MODEL = 'expected the name of a model, e.g. "auto"; GET /v1/models lists them';
/** A model is a base's name and an expert's id. */
const MOST_MODEL = 500;

/** `model` of every body. */
export const modelField = z
  .string({ error: MODEL })
  .min(1, MODEL)
  .max(MOST_MODEL, `expected the name of a model, at most ${MOST_MODEL} characters`);

/** What a {@link textList} takes. */
export interface TextListOptions {
  readonly most: number;
  /** Said of more. */
  readonly tooMany: string;
  /** Said of what is no list; default `expected a list of texts`. */
  readonly noList?: string;
}

/** A list of texts, none of them empty. */
export function textList({ most, tooMany, noList = "expected a list of texts" }: TextListOptions) {
  return z
    .array(
      z.string({ error: "expected a text; token ids are not taken" }).min(1, "expected a text, found an empty one"),
      { error: noList },
    )
    .max(most, tooMany);
}

/** A text, or a list of so many; read as a list. */
export function textsField(most: number, limit: "inputs" | "embeddings") {
  const tooMany = `expected at most ${most} texts (the limit ${limit}); token ids are not taken`;
  return z.preprocess(
    listOfText,
    textList({ most, tooMany, noList: "expected a text or a list of texts" }).min(
      1,
      "expected at least one text, found an empty list",
    ),
  );
}

/** A text as a list of it; anything else as it is. */
export function listOfText(value: unknown): unknown {
  return typeof value === "string" ? [value] : value;
}

/** The fields that have a value. */
export function present<Fields extends object>(fields: Fields): { [Name in keyof Fields]?: NonNullable<Fields[Name]> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(entries) as { [Name in keyof Fields]?: NonNullable<Fields[Name]> };
}

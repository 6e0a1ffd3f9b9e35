import * as z from "zod";
import { CadreError } from "../core/errors.js";
import { parseConfig } from "../core/parse-config.js";

/** How rows lie in files: `instructions` with a field map, or the form of a data set of the folder `raw-qa`. */
export const rowKinds = [
  "instructions",
  "openbookqa",
  "ai2_arc",
  "social_i_qa",
  "winogrande",
  "commonsense_qa",
  "winograd",
] as const;
/** One of {@link rowKinds}. */
export type RowKind = (typeof rowKinds)[number];

const name = z.string().min(1);
const evaluated = {
  name: z.string().regex(/^[a-z0-9-]+$/),
  /** The data set that its rows come from. */
  source: name,
  rows: z.enum(rowKinds),
  /** Of `instructions`: relative to the list. */
  fieldMap: name.optional(),
  /** Files that are judged by, the first ones first. */
  test: z.array(name).min(1),
  /** A `templates.yaml` of promptsource. */
  templates: name,
  /** Names of the templates that are used. */
  use: z.array(z.string().min(1)).min(1),
};
const trainedSchema = z.strictObject({ ...evaluated, train: z.array(name).min(1) });
const unseenSchema = z.strictObject(evaluated);

const listSchema = z.strictObject({
  format: z.literal("cadre-elm-tasks"),
  formatVersion: z.literal(1),
  train: z.array(trainedSchema).min(2),
  development: z.array(unseenSchema).min(1),
  test: z.array(unseenSchema).min(1),
  /** Pairs of instruction files over the same inputs, which are asked both at once. */
  composed: z.array(z.strictObject({ name, first: name, second: name })).default([]),
});

/** A data set of the study, of which nothing is trained on unless it has files to train on. */
export type ElmSet = z.output<typeof unseenSchema> & { readonly train?: readonly string[] };

/** The data sets of the study by their roles. */
export interface ElmList {
  readonly train: readonly ElmSet[];
  /** Choices are made on these. */
  readonly development: readonly ElmSet[];
  /** Claims are made on these. */
  readonly test: readonly ElmSet[];
  /** Two instruction files over the same inputs; nobody is trained on both at once. */
  readonly composed: readonly { readonly name: string; readonly first: string; readonly second: string }[];
}

/**
 * Parses the study's list of data sets.
 * @throws CadreError `invalid-config` for another form, for a name that occurs twice, and for a source data set of two roles.
 */
export function parseElmList(document: unknown, where: string): ElmList {
  const { train, development, test, composed } = parseConfig(listSchema, document, { where, code: "invalid-config" });
  const all: ElmSet[] = [...train, ...development, ...test];
  const repeated = all.find((set, index) => all.findIndex((other) => other.name === set.name) !== index);
  if (repeated !== undefined) {
    throw new CadreError("invalid-config", `${where}: expected different names, found "${repeated.name}" twice`);
  }
  const roles = [train, development, test];
  for (const [role, sets] of roles.entries()) {
    const others = new Set(roles.flatMap((one, index) => (index === role ? [] : one.map(({ source }) => source))));
    const shared = sets.find(({ source }) => others.has(source));
    if (shared !== undefined) {
      throw new CadreError(
        "invalid-config",
        `${where}: ${shared.name}: expected training, development and test sets of different source data sets, found ${shared.source} in two of them`,
      );
    }
  }
  return { train, development, test, composed };
}

import { RE2JS } from "re2js";
import * as z from "zod";
import { CadreError } from "../core/errors.js";
import { nearMiss } from "../core/near-miss.js";
import { parseConfig } from "../core/parse-config.js";
import { compilePythonJinja, type PythonJinja } from "./promptsource/python-jinja.js";
import { quote, type RawRow } from "./row-values.js";
import type { Instance } from "./task.js";

/** Turns instances whose input is merged text back into rows with named fields, to which promptsource templates apply. */
export interface FieldMap {
  /** The data set of the templates that fit the rows, e.g. `super_glue/cb`. */
  readonly templates: string;
  rowOf(instance: Instance): MappedRow;
}

/** A row with named fields, or what does not fit. */
export type MappedRow = { readonly row: RawRow } | { readonly problem: string };

/** What rows became. */
export interface MappedRows {
  readonly rows: readonly RawRow[];
  /** Instances that do not fit: their index from 0, and why. */
  readonly problems: readonly { readonly instance: number; readonly problem: string }[];
}

const schema = z.strictObject({
  format: z.literal("cadre-field-map"),
  formatVersion: z.literal(1),
  templates: z.string().min(1),
  input: z.string().min(1),
  fields: z.record(z.string(), z.string()).optional(),
  output: z.strictObject({
    field: z.string().min(1),
    values: z.record(z.string(), z.union([z.string(), z.int(), z.boolean()])),
  }),
});

/**
 * A field map from its YAML document:
 * - `templates`: the data set of the templates that fit
 * - `input`: a regular expression for the whole input, in RE2's syntax (no look-around, no back-references: it is matched in linear time), whose named
 *   groups `(?<name>...)` are fields
 * - `fields`: where groups are not the fields yet, all fields by name as Jinja over the groups
 * - `output`: the field of the answer, and its value for each answer
 * @throws CadreError `invalid-config` for a document of another form, or an expression that RE2 refuses.
 */
export function parseFieldMap(document: unknown, where: string): FieldMap {
  const { templates, input, fields, output } = parseConfig(schema, document, { where, code: "invalid-config" });
  const pattern = compilePattern(input, `${where}: input`);
  const groups = Object.keys(pattern.namedGroups());
  const jinja = Object.entries(fields ?? {}).map(
    ([name, text]) => [name, compileField(text, groups, `${where}: fields.${name}`)] as const,
  );
  const names = fields === undefined ? groups : Object.keys(fields);
  if (names.length === 0)
    throw new CadreError("invalid-config", `${where}: input: expected a named group (?<name>...)`);
  if (names.includes(output.field)) {
    throw new CadreError(
      "invalid-config",
      `${where}: output.field: expected another name than those of the input's fields`,
    );
  }
  const values = new Map(Object.entries(output.values));
  return {
    templates,
    rowOf(instance) {
      const [text = ""] = Object.values(instance.fields);
      const matcher = pattern.matcher(text);
      if (!matcher.matches()) return { problem: `expected the input to match ${input}, found ${quote(text)}` };
      const [answer = ""] = instance.targets;
      const value = values.get(answer);
      if (value === undefined) {
        return { problem: `expected an answer among ${[...values.keys()].join(", ")}, found ${quote(answer)}` };
      }
      const found = Object.fromEntries(groups.map((group) => [group, matcher.group(group) ?? ""]));
      const row =
        fields === undefined
          ? found
          : Object.fromEntries(jinja.map(([name, one]) => [name, one.render(found, () => 0)]));
      return { row: { ...row, [output.field]: value } };
    },
  };
}

/** The rows of a task's instances by a field map; what does not fit is listed. */
export function mapFields(map: FieldMap, instances: readonly Instance[]): MappedRows {
  const rows: RawRow[] = [];
  const problems: { instance: number; problem: string }[] = [];
  for (const [instance, one] of instances.entries()) {
    const mapped = map.rowOf(one);
    if ("row" in mapped) rows.push(mapped.row);
    else problems.push({ instance, problem: mapped.problem });
  }
  return { rows, problems };
}

function compilePattern(pattern: string, where: string): RE2JS {
  try {
    return RE2JS.compile(pattern);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CadreError("invalid-config", `${where}: expected a regular expression as RE2 has it: ${reason}`, {
      cause,
    });
  }
}

function compileField(text: string, groups: readonly string[], where: string): PythonJinja {
  let field: PythonJinja;
  try {
    field = compilePythonJinja(text);
  } catch (cause) {
    throw new CadreError("invalid-config", `${where}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
  const unknown = [...field.fields].find((name) => !groups.includes(name));
  if (unknown === undefined) return field;
  const hint = nearMiss(unknown, groups);
  throw new CadreError(
    "invalid-config",
    `${where}: expected groups of the input (${groups.join(", ")}), found ${unknown}${hint ? `; did you mean ${hint}?` : ""}`,
  );
}

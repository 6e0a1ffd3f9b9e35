import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import { fieldsOf, type RowFields, readPlainRow, readRowChoices, readTarget } from "./recognise-row.js";
import { quote, type RawRow, textOf } from "./row-values.js";
import type { Problem } from "./user-task.js";
import { type CompiledTemplate, compileTemplate, type TemplateOptions } from "./user-template.js";

/** A row as a template shows it. */
export interface ShownRow {
  readonly input: string;
  /** Accepted answers, at least one; those that are no choices are left out. */
  readonly targets: readonly string[];
  /** Those that the row or the template brings, or that were given; inferred ones come later. */
  readonly choices?: readonly string[];
}

/** How a task's rows are shown. */
export interface RowShowing {
  /** Names of the templates; one name, `input`, for rows that are taken as they are. */
  readonly names: readonly string[];
  /** Choices for all rows. */
  readonly given?: readonly string[];
  /** What each template shows of a row, or why the row is bad. */
  show(row: RawRow): readonly ShownRow[] | { readonly problem: Problem };
  /** The row's fields that nothing reads. */
  unused(row: RawRow): string[];
}

/** Choices that a message lists. */
const SHOWN_CHOICES = 8;

/**
 * Prepares the showing of a task's rows.
 * @throws CadreError `invalid-config` for a template that Jinja refuses and for a list of choices that is none.
 */
export function createRowShowing(
  templates: readonly TemplateOptions[],
  choices: readonly string[] | "none" | undefined,
): RowShowing {
  const compiled = templates.map(compileTemplate);
  const given = choices === undefined || choices === "none" ? undefined : checkChoices(choices);

  function showBy(
    row: RawRow,
    fields: RowFields,
    template: CompiledTemplate | undefined,
  ): ShownRow | { readonly problem: Problem } {
    const shown: ShownRow | { readonly problem: Problem } =
      template === undefined ? readPlainRow(row, fields) : showByTemplate(row, fields, template);
    if ("problem" in shown) return shown;
    if (shown.input.trim() === "") {
      return { problem: { kind: "empty-input", problem: "expected an input, found an empty text" } };
    }
    if (choices === "none") return { input: shown.input, targets: shown.targets };
    const brought = given ?? shown.choices;
    const own = brought === undefined ? rowChoices(row, fields) : { choices: brought };
    if ("problem" in own) return own;
    const allowed = own.choices;
    if (allowed === undefined) return { input: shown.input, targets: shown.targets };
    const targets = shown.targets.filter((target) => allowed.includes(target));
    if (targets.length > 0) return { input: shown.input, targets, choices: allowed };
    const problem = `expected a target among the choices ${listChoices(allowed)}, found ${quote(at(shown.targets, 0))}`;
    return { problem: { kind: "not-a-choice", problem } };
  }

  return {
    names: compiled.length === 0 ? ["input"] : compiled.map(({ name }) => name),
    ...(given === undefined ? {} : { given }),
    show(row) {
      const fields = fieldsOf(row);
      const result: ShownRow[] = [];
      for (const template of compiled.length === 0 ? [undefined] : compiled) {
        const shown = showBy(row, fields, template);
        if ("problem" in shown) return shown;
        result.push(shown);
      }
      return result;
    },
    unused(row) {
      const { rest, inputs, targets, parts } = fieldsOf(row);
      if (compiled.length === 0) return [...rest];
      const readsTarget = compiled.some(({ hasTarget }) => !hasTarget);
      return [...rest, ...inputs, ...parts, ...(readsTarget ? [] : targets)].filter(
        (field) => !compiled.some((template) => template.fields.has(field)),
      );
    },
  };
}

function showByTemplate(
  row: RawRow,
  fields: RowFields,
  template: CompiledTemplate,
): ShownRow | { readonly problem: Problem } {
  const rendered = template.render(row);
  if ("problem" in rendered) return rendered;
  const { input, target, choices } = rendered;
  const read = target === undefined ? readTarget(row, fields) : { targets: [target] };
  if ("problem" in read) return read;
  if (target === "") {
    return {
      problem: { kind: "empty-target", problem: "expected the template to give a target, found an empty text" },
    };
  }
  for (const [name, text] of Object.entries({ input, target: target ?? "" })) {
    const checked = textOf(text, name);
    if ("problem" in checked) return checked;
  }
  return { input, targets: read.targets, ...(choices === undefined ? {} : { choices }) };
}

function rowChoices(
  row: RawRow,
  { choices }: RowFields,
): { readonly choices?: readonly string[] } | { readonly problem: Problem } {
  return choices === undefined ? {} : readRowChoices(row[choices], choices);
}

function checkChoices(choices: readonly string[]): readonly string[] {
  const trimmed = choices.map((choice) => choice.trim());
  if (trimmed.length < 2 || trimmed.includes("") || new Set(trimmed).size < trimmed.length) {
    throw new CadreError(
      "invalid-config",
      `choices: expected at least two different answers, none of them empty, found ${JSON.stringify(choices)}`,
    );
  }
  return trimmed;
}

function listChoices(choices: readonly string[]): string {
  const shown = choices
    .slice(0, SHOWN_CHOICES)
    .map((choice) => quote(choice))
    .join(", ");
  return choices.length > SHOWN_CHOICES ? `${shown} and ${choices.length - SHOWN_CHOICES} more` : shown;
}

import { CadreError } from "../../core/errors.js";
import { nearMiss } from "../../core/near-miss.js";
import type { RawRow } from "../row-values.js";
import type { Example } from "../task.js";
import type { Choose } from "./jinja-helpers.js";
import { compilePythonJinja, type PythonJinja } from "./python-jinja.js";
import { stripPython } from "./python-text.js";

/** A template as `templates.yaml` has it. */
export interface PromptTemplateSource {
  readonly id: string;
  /** Unique within its file. */
  readonly name: string;
  /** Jinja of input and target, divided by `|||`. */
  readonly jinja: string;
  /** Jinja of the choices, divided by `|||`; the template knows them as `answer_choices`. */
  readonly answerChoices?: string;
  /** Whose template it is, in words. */
  readonly reference: string;
  /** Whether it asks for what the data set was made for. */
  readonly originalTask: boolean;
  /** Whether the input names the choices. */
  readonly choicesInPrompt: boolean;
  readonly metrics: readonly string[];
  /** Of the template's own words, e.g. `en`. */
  readonly languages: readonly string[];
}

/** What a template makes of a row. */
export type RenderedPrompt =
  | {
      readonly kind: "example";
      readonly example: Example;
      /** False where there are answer choices and none of the targets is among them: the example has no choices then. */
      readonly targetIsChoice: boolean;
    }
  /** The template wants no example of this row: an empty input or target, such as for a hidden label. */
  | { readonly kind: "skipped" }
  | { readonly kind: "problem"; readonly field?: string; readonly problem: string };

/** A template that is ready to render rows. */
export interface PromptTemplate extends PromptTemplateSource {
  /** Fields that a row must have; their values may be null where the template only asks whether they are. */
  readonly fields: ReadonlySet<string>;
  /** @param choose what the filter `choice` decides by */
  render(row: RawRow, choose: Choose): RenderedPrompt;
}

const DIVIDER = "|||";
const CHOICES = "answer_choices";
/** What promptsource writes for a `|||` of a row's own text while it renders; templates rely on it (those of multi_news split by it). */
const PROTECTED_DIVIDER = "3ed2dface8203c4c9dfb1a5dc58e41e0";

/**
 * Compiles a promptsource template. It renders as promptsource's `Template.apply` without cutting does, but a field that is missing or null and would be
 * printed is a problem, not a gap or the word "None", and `|||` in nested values divides nothing either. Further parts after the target are accepted
 * answers too; equal choices count once.
 * @throws CadreError `invalid-file` for what is no Jinja, without the template's name.
 */
export function compilePromptTemplate(source: PromptTemplateSource): PromptTemplate {
  const whole = compilePythonJinja(source.jinja);
  const choices = source.answerChoices === undefined ? undefined : compilePythonJinja(source.answerChoices);
  const fields = new Set([...whole.fields, ...(choices?.fields ?? [])]);
  const readsChoices = fields.delete(CHOICES);
  if (readsChoices && choices === undefined) {
    throw new CadreError("invalid-file", "expected answer choices, to which the template refers, found none");
  }
  return {
    ...source,
    fields,
    render(row, choose) {
      const missing = [...fields].find((field) => !Object.hasOwn(row, field));
      if (missing !== undefined) {
        const found = Object.keys(row);
        const hint = nearMiss(missing, found);
        const problem = `expected a field ${missing}, found ${found.slice(0, 8).join(", ")}${hint ? `; is it ${hint}?` : ""}`;
        return { kind: "problem", field: missing, problem };
      }
      try {
        return renderRow({ whole, choices }, protectedFields(row, fields), choose);
      } catch (error) {
        if (error instanceof RangeError)
          return { kind: "problem", problem: "expected fewer levels of lists and objects in the row" };
        if (!CadreError.isInstance(error) || error.code !== "invalid-file") throw error;
        const { field } = error.details;
        return { kind: "problem", ...(typeof field === "string" ? { field } : {}), problem: error.message };
      }
    },
  };
}

function renderRow(
  { whole, choices }: { readonly whole: PythonJinja; readonly choices: PythonJinja | undefined },
  values: Readonly<Record<string, unknown>>,
  choose: Choose,
): RenderedPrompt {
  const answerChoices = choices
    ?.render(values, choose)
    .split(DIVIDER)
    .map((choice) => stripPython(choice));
  const [input = "", ...parts] = splitParts(whole.render({ ...values, [CHOICES]: answerChoices ?? null }, choose));
  const targets = [...new Set(parts.filter((part) => part !== ""))];
  if (parts.length === 0 && input !== "") {
    return { kind: "problem", problem: `expected an input and a target divided by ${DIVIDER}, found one part` };
  }
  if (input === "" || targets.length === 0) return { kind: "skipped" };
  const known = new Set(answerChoices?.map(restoreDivider));
  const targetIsChoice = targets.every((target) => known.has(target));
  const hasChoices = known.size >= 2 && targetIsChoice;
  return {
    kind: "example",
    example: { input, targets, ...(hasChoices ? { choices: [...known] } : {}) },
    targetIsChoice: answerChoices === undefined || targetIsChoice,
  };
}

function splitParts(rendered: string): string[] {
  return rendered.split(DIVIDER).map((part) => stripPython(restoreDivider(part)));
}

function restoreDivider(text: string): string {
  return text.replaceAll(PROTECTED_DIVIDER, DIVIDER);
}

function protectedFields(row: RawRow, fields: ReadonlySet<string>): Record<string, unknown> {
  return Object.fromEntries([...fields].map((field) => [field, protectedValue(row[field])]));
}

/** A value as JSON has it, without dividers in its texts. */
function protectedValue(value: unknown): unknown {
  if (typeof value === "string") return value.replaceAll(DIVIDER, PROTECTED_DIVIDER);
  if (Array.isArray(value)) return value.map(protectedValue);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, protectedValue(item)]));
}

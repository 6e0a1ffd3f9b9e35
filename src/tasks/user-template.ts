import { Template } from "@huggingface/jinja";
import { CadreError } from "../core/errors.js";
import { isThere, type RawRow } from "./row-values.js";
import { templateVariables } from "./template-variables.js";
import type { Problem } from "./user-task.js";

/** A template as a person writes it. */
export interface TemplateOptions {
  /** Default `template 1` and so on. */
  readonly name?: string;
  /** Jinja: `input ||| target`. Without `|||` it is the input, and the row's own target field stays the target. */
  readonly text: string;
  /** Jinja: the choices, divided by `|||`, e.g. `Yes ||| No`; the template may refer to them as `answer_choices[label]`. */
  readonly answerChoices?: string;
}

/** What a template makes of a row. */
export interface RenderedRow {
  readonly input: string;
  /** Undefined where the template has no `|||`. */
  readonly target?: string;
  readonly choices?: readonly string[];
}

/** A template that is ready to render raw rows. */
export interface CompiledTemplate {
  readonly name: string;
  /** Fields that some part of it reads. */
  readonly fields: ReadonlySet<string>;
  /** Whether it gives the target too. */
  readonly hasTarget: boolean;
  render(row: RawRow): RenderedRow | { readonly problem: Problem };
}

const DIVIDER = "|||";
/** Stands for `|||` while rendering, so that a row that holds `|||` is not divided there. */
const MARK = "\uFDD0|||\uFDD1";
const CHOICES_NAME = "answer_choices";

/**
 * Compiles a template over raw rows (numbers stay numbers, so `answer_choices[label]` works).
 * @param index from 0, for its default name
 * @throws CadreError `invalid-config` for a template that Jinja refuses.
 */
export function compileTemplate({ name, text, answerChoices }: TemplateOptions, index: number): CompiledTemplate {
  const whole = compile(text, "template");
  const choicesTemplate = answerChoices === undefined ? undefined : compile(answerChoices, "answer choices");
  const hasTarget = text.includes(DIVIDER);
  const { required, optional } = templateVariables([
    whole,
    ...(choicesTemplate === undefined ? [] : [choicesTemplate]),
  ]);
  required.delete(CHOICES_NAME);
  optional.delete(CHOICES_NAME);
  if (choicesTemplate !== undefined || text.includes(CHOICES_NAME)) expectChoices(text, answerChoices);
  return {
    name: name ?? `template ${index + 1}`,
    fields: new Set([...required, ...optional]),
    hasTarget,
    render(row) {
      const missing = [...required].find((field) => !Object.hasOwn(row, field) || !isThere(row[field]));
      if (missing !== undefined) {
        const found = Object.hasOwn(row, missing) ? `${row[missing]} in it` : Object.keys(row).slice(0, 8).join(", ");
        const problem = `expected a field ${missing}, which the template prints, found ${found}`;
        return { problem: { kind: "missing-field", problem } };
      }
      try {
        const choices = choicesTemplate === undefined ? undefined : split(choicesTemplate.render({ ...row }));
        if (
          choices !== undefined &&
          (choices.length < 2 || choices.includes("") || new Set(choices).size < choices.length)
        ) {
          const problem = `expected at least two different answer choices, found ${JSON.stringify(choices)}`;
          return { problem: { kind: "not-a-choice", problem } };
        }
        const context = choices === undefined ? { ...row } : { ...row, [CHOICES_NAME]: choices };
        const [input = "", target, ...more] = split(whole.render(context));
        if (more.length > 0 || (target === undefined && hasTarget)) {
          const problem = `expected the template to give an input and a target, found ${more.length + (target === undefined ? 1 : 2)} parts`;
          return { problem: { kind: "template", problem } };
        }
        return { input, ...(target === undefined ? {} : { target }), ...(choices === undefined ? {} : { choices }) };
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        return { problem: { kind: "template", problem: `the template fails on this row: ${reason}` } };
      }
    },
  };
}

function compile(text: string, what: string): Template {
  try {
    return new Template(text.replaceAll(DIVIDER, MARK));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CadreError("invalid-config", `${what} ${JSON.stringify(text)}: expected Jinja: ${reason}`, { cause });
  }
}

function expectChoices(text: string, answerChoices: string | undefined): void {
  if (answerChoices === undefined) {
    throw new CadreError(
      "invalid-config",
      `template ${JSON.stringify(text)}: expected answer choices, which it refers to; give them`,
    );
  }
}

function split(rendered: string): string[] {
  return rendered.split(MARK).map((part) => part.trim());
}

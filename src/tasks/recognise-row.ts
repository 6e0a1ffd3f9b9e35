import { readMessages } from "./messages-row.js";
import { END_MARK } from "./prompt-completion.js";
import { cutText, describe, isThere, type RawRow, textOf, textsOf } from "./row-values.js";
import type { Problem } from "./user-task.js";

/** Field names, in lower case, that are known to hold the input. */
const INPUT_NAMES: ReadonlySet<string> = new Set(
  "input inputs text prompt question query sentence document instruction utterance".split(" "),
);
/** Field names that are known to hold the answer. */
const TARGET_NAMES: ReadonlySet<string> = new Set(
  "target targets label labels completion output outputs answer answers response class category intent label_text label_name".split(
    " ",
  ),
);
/** Those of them that SetFit and the Hub's classification sets put beside {@link NUMBERED_NAMES}: the label in words. */
const WORDED_NAMES: ReadonlySet<string> = new Set(["label_text", "label_name"]);
/** The number of a label that {@link WORDED_NAMES} write out. */
const NUMBERED_NAMES: ReadonlySet<string> = new Set(["label", "labels"]);
/** Field names that hold a part of an input of several parts, which only a template can put together. */
const PART_NAMES: ReadonlySet<string> = new Set(
  "context passage premise hypothesis sentence1 sentence2 question1 question2 text1 text2 text_a text_b".split(" "),
);
const MESSAGES = "messages";
const CHOICES = "choices";
const SPLIT = "split";

/** What the names of a row's fields say about their use. */
export interface RowFields {
  readonly inputs: readonly string[];
  readonly targets: readonly string[];
  readonly parts: readonly string[];
  readonly messages?: string;
  readonly choices?: string;
  readonly split?: string;
  /** All others. */
  readonly rest: readonly string[];
}

/** The target side of a row. */
export interface RowTarget {
  /** Accepted answers, at least one, without white space around them. */
  readonly targets: readonly string[];
}

/**
 * Sorts a row's fields by their names; upper and lower case and white space around a name do not matter. Fields that are null do not count. Where a
 * label stands in words beside its number (`label_text`, `label_name`), the number is no target: also where the words are null, lest a task mix both.
 */
export function fieldsOf(row: RawRow): RowFields {
  const hasWords = Object.keys(row).some((key) => WORDED_NAMES.has(nameOf(key)));
  const inputs: string[] = [];
  const targets: string[] = [];
  const parts: string[] = [];
  const rest: string[] = [];
  const single: { messages?: string; choices?: string; split?: string } = {};
  for (const [key, value] of Object.entries(row)) {
    if (!isThere(value)) continue;
    const name = nameOf(key);
    if (hasWords && NUMBERED_NAMES.has(name)) continue;
    if (INPUT_NAMES.has(name)) inputs.push(key);
    else if (TARGET_NAMES.has(name)) targets.push(key);
    else if (PART_NAMES.has(name)) parts.push(key);
    else if (name === MESSAGES) single.messages = key;
    else if (name === CHOICES) single.choices = key;
    else if (name === SPLIT) single.split = key;
    else rest.push(key);
  }
  return { inputs, targets, parts, ...single, rest };
}

/** The input and the accepted answers of a row that no template renders. */
export function readPlainRow(
  row: RawRow,
  fields: RowFields,
): { readonly input: string; readonly targets: readonly string[] } | { readonly problem: Problem } {
  const { inputs, parts, messages } = fields;
  if (messages !== undefined && inputs.length === 0 && fields.targets.length === 0) return readMessages(row[messages]);
  const [name] = inputs;
  if (name === undefined && parts.length === 0) {
    return nothingIn(row, "input") ?? missing("input", "input, text, prompt, question or messages", row);
  }
  if (name === undefined || inputs.length + parts.length > 1 || messages !== undefined) {
    return ambiguous("input", [...inputs, ...parts, ...(messages === undefined ? [] : [messages])], fields);
  }
  const input = textOf(row[name], name);
  if ("problem" in input) return input;
  const target = readTarget(row, fields);
  return "problem" in target ? target : { input: input.text, targets: target.targets };
}

/** The accepted answers of a row: one field of a known name that holds a text, or a list of texts. */
export function readTarget(row: RawRow, fields: RowFields): RowTarget | { readonly problem: Problem } {
  const [name, ...others] = fields.targets;
  if (name === undefined) {
    return nothingIn(row, "target") ?? missing("target", "target, label, completion, output or answer", row);
  }
  if (others.length > 0) return ambiguous("target", fields.targets, fields);
  const value = row[name];
  const list = textsOf(value);
  const texts: string[] = [];
  for (const item of list ?? [value]) {
    const text = textOf(item, name);
    if ("problem" in text) return text;
    texts.push(nameOf(name) === "completion" ? withoutEndMark(text.text) : text.text.trim());
  }
  const targets = [...new Set(texts.filter((text) => text !== ""))];
  if (targets.length > 0) return { targets };
  return { problem: { kind: "empty-target", problem: `${name}: expected an answer, found an empty text` } };
}

/** The choices that a row brings along: a list of texts, or a text that holds such a list as JSON. */
export function readRowChoices(
  value: unknown,
  name: string,
): { readonly choices: string[] } | { readonly problem: Problem } {
  const choices = textsOf(typeof value === "string" ? jsonOf(value) : value)?.map((choice) => choice.trim());
  if (choices === undefined || choices.length < 2 || choices.includes("") || new Set(choices).size < choices.length) {
    const found = choices === undefined ? describe(value) : JSON.stringify(choices);
    const problem = `${name}: expected a list of at least two different answers, found ${found}`;
    return { problem: { kind: "not-a-choice", problem } };
  }
  return { choices };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function withoutEndMark(text: string): string {
  const trimmed = text.trim();
  return (trimmed.endsWith(END_MARK) ? trimmed.slice(0, -END_MARK.length) : trimmed).trim();
}

function nameOf(key: string): string {
  return key.trim().toLowerCase();
}

/** A row whose field for the input or the target is there and null. */
function nothingIn(row: RawRow, what: "input" | "target"): { readonly problem: Problem } | undefined {
  const names = what === "input" ? INPUT_NAMES : TARGET_NAMES;
  const [found] = Object.entries(row).filter(([key, value]) => names.has(nameOf(key)) && !isThere(value));
  if (found === undefined) return undefined;
  const expected = what === "input" ? "an input" : "an answer";
  return { problem: { kind: `empty-${what}`, problem: `${found[0]}: expected ${expected}, found ${found[1]}` } };
}

function missing(what: string, names: string, row: RawRow): { readonly problem: Problem } {
  const keys = Object.keys(row);
  const found = keys.length === 0 ? "none" : `the fields ${shownNames(keys)}`;
  const problem = `expected a field that holds the ${what} (${names}), found ${found}; rename one, or give a template`;
  return { problem: { kind: "missing-field", problem } };
}

function ambiguous(
  what: string,
  names: readonly string[],
  { inputs, parts, targets }: RowFields,
): { readonly problem: Problem } {
  const shown = [...inputs, ...parts].map((name) => `{{ ${name} }}`).join("\\n");
  const template = `'${shown === "" ? "{{ … }}" : shown} ||| {{ ${targets[0] ?? "…"} }}'`;
  const problem = `expected one field that holds the ${what}, found ${shownNames(names)}; say what to make of them with a template such as ${template}`;
  return { problem: { kind: "ambiguous-fields", problem } };
}

function shownNames(names: readonly string[]): string {
  const shown = names.slice(0, 8).map((name) => cutText(name, 40));
  return `${shown.join(", ")}${names.length > shown.length ? ` and ${names.length - shown.length} more` : ""}`;
}

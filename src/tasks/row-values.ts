import type { Problem } from "./user-task.js";

/** A raw row of a data file: its fields by name. */
export type RawRow = Readonly<Record<string, unknown>>;

/** A text, or what is wrong with the field. */
export type TextOrProblem = { readonly text: string } | { readonly problem: Problem };

/** Half a character, which no UTF-8 text can hold. */
const LONE_SURROGATE = /\p{Surrogate}/u;
/** Characters of a value that a message shows. */
const SHOWN = 60;

/** Whether a field is there: null and NaN stand for nothing, as in tables with optional columns. */
export function isThere(value: unknown): boolean {
  return value !== undefined && value !== null && !Number.isNaN(value);
}

/** A field as a text: numbers and truth values are written out, dates as ISO 8601. Lists and objects are no text. */
export function textOf(value: unknown, field: string): TextOrProblem {
  const text = plainText(value);
  if (text === undefined) {
    const problem = `${field}: expected a text, found ${describe(value)}; choose a part of it with a template`;
    return { problem: { kind: "wrong-value", problem } };
  }
  if (text.includes("\0") || LONE_SURROGATE.test(text)) {
    const found = text.includes("\0") ? "a zero character" : "half a character (a lone surrogate)";
    return { problem: { kind: "encoding", problem: `${field}: expected text, found ${found}` } };
  }
  return { text };
}

/** A list of texts; undefined for anything else. */
export function textsOf(value: unknown): string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const texts = value.map(plainText);
  return texts.every((text) => text !== undefined) ? texts : undefined;
}

/** A short description of a value for messages. */
export function describe(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  return quote(String(value));
}

/** A text in quotes, cut where it is long. */
export function quote(text: string): string {
  return JSON.stringify(text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text);
}

function plainText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") return String(value);
  return value instanceof Date && !Number.isNaN(value.getTime()) ? value.toISOString() : undefined;
}

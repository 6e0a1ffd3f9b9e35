import type { Problem } from "./user-task.js";

/** A raw row of a data file: its fields by name. */
export type RawRow = Readonly<Record<string, unknown>>;

/** A text, or what is wrong with the field. */
export type TextOrProblem = { readonly text: string } | { readonly problem: Problem };

/** Half a character, which no UTF-8 text can hold. */
const LONE_SURROGATE = /\p{Surrogate}/u;
/** Characters of a value that a message shows. */
const SHOWN = 60;
/** What a terminal obeys or hides: control characters, half characters, line separators, marks that turn the direction of writing. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

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

/**
 * A text of someone's data in quotes, safe for a terminal, cut where it is long.
 * @param options.most Characters (code points) that are shown; default 60.
 */
export function quote(text: string, { most = SHOWN }: { readonly most?: number } = {}): string {
  return printable(JSON.stringify(cutText(text, most)));
}

/** A text cut behind so many characters (code points) where it is longer, with `…` at its end; no character is halved. */
export function cutText(text: string, most = SHOWN): string {
  const characters = [...text.slice(0, 2 * most + 1)];
  return characters.length > most ? `${characters.slice(0, most).join("")}…` : text;
}

/** A line for a terminal: control characters and marks that turn the direction of writing become `\u001b` and the like. */
export function printable(line: string): string {
  return line.replace(UNPRINTABLE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function plainText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") return String(value);
  return value instanceof Date && !Number.isNaN(value.getTime()) ? value.toISOString() : undefined;
}

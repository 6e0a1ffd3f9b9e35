import { quote } from "../tasks/row-values.js";

/** What a caller gave, for a message: texts in quotes, numbers as they are, lists and objects by their kind alone. */
export function shownValue(value: unknown): string {
  if (typeof value === "string") return quote(value);
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "function") return "a function";
  return typeof value === "object" && value !== null ? "an object" : String(value);
}

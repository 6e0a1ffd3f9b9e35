/** Characters of a text that a message shows. */
const SHOWN = 60;

/** What a caller gave, for a message: texts in quotes, numbers as they are, lists and objects by their kind alone. */
export function shownValue(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > SHOWN ? `${value.slice(0, SHOWN)}…` : value);
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "function") return "a function";
  return typeof value === "object" && value !== null ? "an object" : String(value);
}

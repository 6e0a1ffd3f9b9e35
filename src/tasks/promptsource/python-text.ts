/** What Python takes for white space; JavaScript's differs by four separators, U+0085 and the byte order mark. */
const PYTHON_SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const SPACE = new RegExp(`[${PYTHON_SPACE}]`);

/**
 * A text without the characters at both ends that are among `characters`, as Python's `str.strip`.
 * @param characters default white space as Python has it
 */
export function stripPython(text: string, characters?: string): string {
  const set = characters === undefined ? undefined : new Set(characters);
  const points = Array.from(text);
  const isStripped = (point: string | undefined) =>
    point !== undefined && (set === undefined ? SPACE.test(point) : set.has(point));
  let start = 0;
  let end = points.length;
  while (start < end && isStripped(points[start])) start++;
  while (end > start && isStripped(points[end - 1])) end--;
  return points.slice(start, end).join("");
}

/** A value as Python's `str` writes it: a text as it is, `True`, `None`, `['a', 1]`, `{'a': 1}`. */
export function pythonText(value: unknown): string {
  return typeof value === "string" ? value : pythonRepresentation(value);
}

function pythonRepresentation(value: unknown): string {
  if (typeof value === "string") return quoted(value);
  if (typeof value === "boolean") return value ? "True" : "False";
  if (value === null || value === undefined) return "None";
  if (Array.isArray(value)) return `[${value.map(pythonRepresentation).join(", ")}]`;
  if (typeof value !== "object") return String(value);
  const entries = Object.entries(value).map(([key, item]) => `${quoted(key)}: ${pythonRepresentation(item)}`);
  return `{${entries.join(", ")}}`;
}

const ESCAPES: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** In single quotes, or in double ones where the text holds single ones only. */
function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replace(/[\\\n\r\t]/g, (character) => ESCAPES[character] ?? character);
  return quote + escaped.replaceAll(quote, `\\${quote}`) + quote;
}

/** Python's `==` of values as JSON has them: truth values count as 0 and 1, lists and objects by what they hold. */
export function isPythonEqual(one: unknown, other: unknown): boolean {
  const [left, right] = [numberOf(one), numberOf(other)];
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((item, index) => isPythonEqual(item, right[index]));
  }
  if (!isObject(left) || !isObject(right)) return left === right;
  const fields = new Map(Object.entries(right));
  const names = Object.entries(left);
  return names.length === fields.size && names.every(([name, item]) => isPythonEqual(item, fields.get(name)));
}

function numberOf(value: unknown): unknown {
  return typeof value === "boolean" ? Number(value) : value;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

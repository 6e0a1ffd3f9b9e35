import { CadreError } from "../../core/errors.js";
import { describe } from "../row-values.js";
import { isPythonEqual, pythonText, stripPython } from "./python-text.js";

/** Chooses one of `count` things: an integer in [0, count). */
export type Choose = (count: number) => number;

/**
 * A filter, method or operator of Jinja under Python.
 * @param field what the template calls the value, for messages
 */
export type JinjaHelper = (field: string, value: unknown, ...rest: readonly unknown[]) => unknown;

/** The longest `range`, that of Jinja's own sandbox. */
const LONGEST_RANGE = 100_000;

/** Filters that `@huggingface/jinja` lacks or runs otherwise than Jinja 3 under Python; promptsource adds `choice` and `most_frequent`. */
export function jinjaFilters(choose: Choose): Readonly<Record<string, JinjaHelper>> {
  return {
    choice: (field, value) => {
      const list = listOf(field, value);
      if (list.length === 0) throw problem(field, "expected something to choose from, found an empty list");
      return list[choose(list.length)];
    },
    most_frequent: (field, value) => mostFrequent(listOf(field, value)),
    trim: (field, value, characters) => stripPython(textOf(field, value), optionalText(characters)),
    capitalize: (field, value) => {
      const [first = "", ...others] = textOf(field, value);
      return first.toUpperCase() + others.join("").toLowerCase();
    },
    lower: (field, value) => textOf(field, value).toLowerCase(),
    upper: (field, value) => textOf(field, value).toUpperCase(),
    replace: (field, value, from, to) => textOf(field, value).replaceAll(textOf(field, from), () => textOf(field, to)),
    string: (field, value) => textOf(field, value),
    int: (field, value, fallback = 0) => integerOf(there(field, value)) ?? fallback,
    length: (field, value) => itemsOf(field, value).length,
    join: (field, value, separator = "") =>
      itemsOf(field, value)
        .map((item) => textOf(field, item))
        .join(pythonText(separator)),
    first: (field, value) => itemsOf(field, value)[0],
    last: (field, value) => itemsOf(field, value).at(-1),
    reject: (field, value, test, other) => {
      if (test !== "equalto") throw problem(field, `the filter reject knows the test equalto only, found ${test}`);
      return listOf(field, value).filter((item) => !isPythonEqual(item, other));
    },
  };
}

/** How many arguments a filter or method takes here, where it takes any; with more, and with named ones, it is left to `@huggingface/jinja`. */
export const MOST_ARGUMENTS: Readonly<Record<string, number>> = {
  trim: 1,
  replace: 2,
  int: 1,
  join: 1,
  reject: 2,
  index: 1,
  strip: 1,
};

/** Methods of Python's texts and lists, `value.name(...)`, under the same condition. */
export const JINJA_METHODS: Readonly<Record<string, JinjaHelper>> = {
  join: (field, separator, list) =>
    listOf(field, list)
      .map((item) => textOf(field, item))
      .join(textOf(field, separator)),
  index: (field, value, item) => {
    const index = listOf(field, value).findIndex((candidate) => isPythonEqual(candidate, item));
    if (index < 0) throw problem(field, `expected ${describe(item)} in it, found ${pythonText(value).slice(0, 80)}`);
    return index;
  },
  strip: (field, value, characters) => stripPython(textOf(field, value), optionalText(characters)),
};

/** Operators, and what every printed value goes through. */
export const JINJA_OPERATORS = {
  equal: (_field, value, other) => isPythonEqual(value, other),
  differs: (_field, value, other) => !isPythonEqual(value, other),
  item: (field, value, index) => itemOf(there(field, value), index),
  text: (field, value) => textOf(field, value),
  there,
} as const satisfies Readonly<Record<string, JinjaHelper>>;

/** Functions that templates call by name. */
export const JINJA_FUNCTIONS: Readonly<Record<string, (...values: readonly unknown[]) => unknown>> = {
  range: (...values) => {
    const numbers = values.map((value) => integerOf(value) ?? 0);
    const [start, stop, step = 1] =
      numbers.length === 1 ? [0, numbers[0] ?? 0] : [numbers[0] ?? 0, numbers[1] ?? 0, numbers[2]];
    const length = step === 0 ? 0 : Math.max(0, Math.ceil((stop - start) / step));
    if (length > LONGEST_RANGE) throw problem("range", `expected at most ${LONGEST_RANGE} numbers, found ${length}`);
    return Array.from({ length }, (_, index) => start + index * step);
  },
  zip: (...values) => {
    const lists = values.map((value) => itemsOf("zip", value));
    const length = lists.length === 0 ? 0 : Math.min(...lists.map((list) => list.length));
    return Array.from({ length }, (_, index) => lists.map((list) => list[index]));
  },
};

/** What is wrong with a part of a row that a template reads. */
function problem(field: string, reason: string): CadreError {
  return new CadreError("invalid-file", `${field}: ${reason}`, { details: { field } });
}

function there(field: string, value: unknown): unknown {
  if (value === null || value === undefined) throw problem(field, "expected a value, found none");
  return value;
}

function textOf(field: string, value: unknown): string {
  return pythonText(there(field, value));
}

function optionalText(value: unknown): string | undefined {
  return value === undefined ? undefined : pythonText(value);
}

function listOf(field: string, value: unknown): readonly unknown[] {
  const found = there(field, value);
  if (Array.isArray(found)) return found;
  throw problem(field, `expected a list, found ${describe(value)}`);
}

/** What Python's iteration over a value gives: characters, items or keys. */
function itemsOf(field: string, value: unknown): readonly unknown[] {
  if (typeof value === "string") return Array.from(value);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return Object.keys(value);
  return listOf(field, value);
}

/** `value[index]`; undefined where there is nothing, as Jinja has it. Texts are counted in characters, truth values are indices as in Python. */
function itemOf(value: unknown, index: unknown): unknown {
  const place = typeof index === "boolean" ? Number(index) : index;
  if (typeof place === "number") {
    if (typeof value === "string") return Array.from(value).at(place);
    return Array.isArray(value) ? value.at(place) : undefined;
  }
  const isField =
    typeof place === "string" && typeof value === "object" && value !== null && Object.hasOwn(value, place);
  return isField ? Reflect.get(value, place) : undefined;
}

/** As Jinja's filter `int`: what `int`, then `int(float)` takes. */
function integerOf(value: unknown): number | undefined {
  if (typeof value === "boolean") return Number(value);
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? Math.trunc(number) : undefined;
}

/** The items that occur most often, in order of first appearance; null for an empty list. */
function mostFrequent(list: readonly unknown[]): unknown {
  const counts = new Map<string, { readonly item: unknown; count: number }>();
  for (const item of list) {
    const key = JSON.stringify(item) ?? "";
    const known = counts.get(key);
    if (known === undefined) counts.set(key, { item, count: 1 });
    else known.count++;
  }
  const most = Math.max(0, ...[...counts.values()].map(({ count }) => count));
  return list.length === 0 ? null : [...counts.values()].filter(({ count }) => count === most).map(({ item }) => item);
}

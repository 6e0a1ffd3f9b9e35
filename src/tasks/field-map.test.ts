import { expect, test } from "vitest";
import { parse } from "yaml";
import { mapFields, parseFieldMap } from "./field-map.js";
import type { Instance } from "./task.js";

const document = (changes: object = {}) => ({
  format: "cadre-field-map",
  formatVersion: 1,
  templates: "own/set",
  input: "^one: (?<first>[^\\n]*)\\ntwo: (?<second>.*)$",
  output: { field: "label", values: { no: 0, yes: 1 } },
  ...changes,
});
const instance = (input: string, ...targets: string[]): Instance => ({ fields: { input }, targets });
const rowOf = (changes: object, input: string, target = "yes") =>
  parseFieldMap(document(changes), "map.yaml").rowOf(instance(input, target));

test("groups become fields, answers their values", () => {
  const map = parseFieldMap(document(), "map.yaml");
  expect(map.templates).toBe("own/set");
  expect(
    mapFields(map, [
      instance("one: a|b\ntwo: \u{1f327}", "yes"),
      instance("one: a", "no"),
      instance("one: a\ntwo: ", "maybe"),
    ]),
  ).toEqual({
    rows: [{ first: "a|b", second: "\u{1f327}", label: 1 }],
    problems: [
      { instance: 1, problem: expect.stringContaining('found "one: a"') },
      { instance: 2, problem: 'expected an answer among no, yes, found "maybe"' },
    ],
  });
});

test("the whole input must match, and only it", () => {
  expect(rowOf({ input: "a(?<x>b*)" }, "abb")).toMatchObject({ row: { x: "bb" } });
  expect(rowOf({ input: "a(?<x>b*)" }, "abbc")).toHaveProperty("problem");
  expect(rowOf({ input: "a(?<x>b)?" }, "a")).toMatchObject({ row: { x: "" } });
});

test("fields may be made of groups", () => {
  const fields = { text: "{{ second }} {{ first | trim('.') }}" };
  expect(rowOf({ fields }, "one: a.\ntwo: b")).toEqual({ row: { text: "b a", label: 1 } });
});

test.each<[string, object, RegExp]>([
  ["look-around", { input: "(?=x)(?<a>x)" }, /map\.yaml: input: .*RE2/],
  ["a back-reference", { input: "(?<a>x)\\1" }, /map\.yaml: input: .*RE2/],
  ["no group", { input: "x" }, /named group/],
  ["an unknown group", { fields: { text: "{{ frist }}" } }, /fields\.text: .*found frist; did you mean first\?/],
  ["broken Jinja", { fields: { text: "{{" } }, /fields\.text: expected Jinja/],
  ["an output that is an input", { output: { field: "first", values: {} } }, /output\.field/],
  ["another format", { format: "other" }, /format/],
  ["another key", { flags: "i" }, /flags/],
])("%s is refused", (_, changes, message) => {
  expect(() => parseFieldMap(document(changes), "map.yaml")).toThrow(message);
});

test("a hostile expression takes linear time", () => {
  const from = performance.now();
  expect(rowOf({ input: "(?<x>(a|a)*(a+)+)b" }, "a".repeat(20_000))).toHaveProperty("problem");
  // Backtracking would take longer than the universe has existed.
  expect(performance.now() - from).toBeLessThan(30_000);
});

test("YAML needs quotes around answers that are words of YAML", () => {
  const values = parse('values: { "True": 1, "no": 0 }').values;
  expect(rowOf({ output: { field: "label", values } }, "one: a\ntwo: b", "True")).toMatchObject({ row: { label: 1 } });
});

import { expect, test } from "vitest";
import { parseBigBenchTask } from "./big-bench.js";

const parse = (examples: readonly unknown[], more: object = {}) =>
  parseBigBenchTask({ name: "own", description: "d", examples, ...more }, "task.json");

test("multiple choice: the best scored choices are right, with BIG-bench's prefixes", () => {
  const { definition, templates, instances } = parse([{ input: "1 + 1?", target_scores: { one: 0, two: 1, "2": 1 } }]);
  expect([definition, templates]).toEqual(["d", ["{{ input }}"]]);
  expect(instances).toEqual([
    {
      fields: { input: "Q: 1 + 1?\n  choice: 2\n  choice: one\n  choice: two\nA:" },
      targets: ["2", "two"],
      choices: ["2", "one", "two"],
    },
  ]);
});

test("a task's own prefixes, and choices that are not listed", () => {
  const own = {
    task_prefix: "Say which.\n",
    example_input_prefix: "\nS: ",
    example_output_prefix: "\nIs it? ",
    append_choices_to_input: false,
  };
  const { definition, instances } = parse([{ input: "x", target: "a", target_scores: { a: 0.5, b: -1 } }], own);
  expect(definition).toBe("Say which.");
  expect(instances).toEqual([{ fields: { input: "S: x\nIs it?" }, targets: ["a"], choices: ["a", "b"] }]);
  const listed = parse([{ input: "x", target_scores: { a: 1, b: 0 } }], {
    ...own,
    append_choices_to_input: true,
    choice_prefix: " or ",
  });
  expect(listed.instances[0]?.fields.input).toBe("S: x or a or b\nIs it?");
});

test("generative: one answer or several", () => {
  const { instances } = parse(
    [
      { input: "x", target: " a\n" },
      { input: "y", target: ["b", "c", "b"] },
    ],
    { example_input_prefix: "", example_output_prefix: "" },
  );
  expect(instances).toEqual([
    { fields: { input: "x" }, targets: ["a"] },
    { fields: { input: "y" }, targets: ["b", "c"] },
  ]);
});

test.each<[string, unknown, RegExp]>([
  ["no answer", { input: "x" }, /examples\[1\]:[\s\S]*target or target_scores/],
  ["an empty answer", { input: "x", target: " " }, /examples\[1\]: expected/],
  ["one choice", { input: "x", target_scores: { a: 1 } }, /examples\[1\]: expected/],
  ["a score that is no number", { input: "x", target_scores: { a: "1", b: 0 } }, /examples\[1\]:[\s\S]*target_scores/],
  ["no object", null, /examples\[1\]/],
])("%s is refused", (_, example, message) => {
  expect(() => parse([{ input: "x", target: "a" }, example])).toThrow(message);
});

test("a document without examples is refused", () => {
  expect(() => parse([])).toThrow("task.json:");
  expect(() => parseBigBenchTask([], "task.json")).toThrow("task.json:");
});

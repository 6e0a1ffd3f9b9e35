import fc from "fast-check";
import { expect, test } from "vitest";
import { createUserTaskBuilder, type UserTaskOptions } from "./build-user-task.js";
import type { RawRow } from "./row-values.js";
import { countProblems, SPLITS, type UserExample, type UserTask } from "./user-task.js";

function build(rows: readonly RawRow[], options: Partial<UserTaskOptions> = {}): UserTask {
  const builder = createUserTaskBuilder("task", { seed: 1, ...options });
  for (const [index, row] of rows.entries()) builder.addRow(row, { file: "f.jsonl", line: index + 1 });
  return builder.finish(["f.jsonl"]);
}

/** All examples in the order of the rows. */
function examplesOf({ splits }: UserTask): UserExample[] {
  return SPLITS.flatMap((split) => splits[split]).sort((a, b) => a.instance - b.instance || a.template - b.template);
}

function only(row: RawRow, options: Partial<UserTaskOptions> = {}) {
  const [example] = examplesOf(build([row], options));
  return example === undefined ? undefined : [example.input, example.targets, example.choices];
}

const problemsOf = (task: UserTask) => task.problems.map(({ line, kind }) => [line, kind]);

test.each<[RawRow, string, string[]]>([
  [{ input: "a", target: "b" }, "a", ["b"]],
  [{ text: "a", label: "b" }, "a", ["b"]],
  [{ prompt: "a", completion: " b<|endoftext|>" }, "a", ["b"]],
  [{ Question: "a", " Answer ": ["b", "c", "b", " "] }, "a", ["b", "c"]],
  [{ sentence: " a ", output: " b\n", id: 7 }, " a ", ["b"]],
  [{ text: "a", label: 3 }, "a", ["3"]],
  [{ text: "a", label: false, answer: null }, "a", ["false"]],
  [{ text: 1.5, label: 0 }, "1.5", ["0"]],
  [{ text: "a", label: 1, label_text: "good" }, "a", ["good"]],
  [{ Text: "a", Label_Name: "good", LABEL: 1 }, "a", ["good"]],
])("%j is recognised", (row, input, targets) => {
  expect(only(row)).toEqual([input, targets, undefined]);
});

test.each<[string, unknown, string, string]>([
  [
    "one question",
    [
      { role: "user", content: "q" },
      { role: "assistant", content: " a " },
    ],
    "q",
    "a",
  ],
  [
    "a system's words first, parts of text",
    [
      { role: "system", content: "s" },
      {
        role: "user",
        content: [
          { type: "text", text: "q" },
          { type: "text", text: "r" },
        ],
      },
      { role: "assistant", content: "a" },
    ],
    "s\n\nq\nr",
    "a",
  ],
  [
    "several turns",
    [
      { role: "user", content: "q" },
      { role: "assistant", content: "a" },
      { role: "user", content: "r" },
      { role: "assistant", content: "b" },
    ],
    "user: q\n\nassistant: a\n\nuser: r",
    "b",
  ],
  ["JSON in a cell of CSV", '[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]', "q", "a"],
])("messages: %s", (_name, messages, input, target) => {
  expect(only({ messages })).toEqual([input, [target], undefined]);
});

test.each<[string, RawRow, string, RegExp]>([
  ["no input", { foo: "a", label: "b" }, "missing-field", /holds the input .* found the fields foo, label/],
  ["null", { text: null, label: "b" }, "empty-input", /^text: expected an input, found null$/],
  ["not a number", { text: Number.NaN, label: "b" }, "empty-input", /found NaN/],
  ["a null label", { text: "a", label: null }, "empty-target", /^label: expected an answer, found null$/],
  [
    "a label in words that is null beside its number",
    { text: "a", label: 1, label_text: null },
    "empty-target",
    /^label_text: expected an answer, found null$/,
  ],
  [
    "two labels in words",
    { text: "a", label_text: "b", label_name: "c" },
    "ambiguous-fields",
    /label_text, label_name/,
  ],
  ["no target", { text: "a" }, "missing-field", /holds the target/],
  ["nothing", {}, "missing-field", /found none/],
  [
    "two inputs",
    { instruction: "a", input: "b", output: "c" },
    "ambiguous-fields",
    /'{{ instruction }}\\n{{ input }} \|\|\| {{ output }}'/,
  ],
  ["two parts", { premise: "a", hypothesis: "b", label: "c" }, "ambiguous-fields", /{{ premise }}/],
  ["a question about a context", { question: "a", context: "b", answer: "c" }, "ambiguous-fields", /context/],
  ["two targets", { text: "a", label: "b", answer: "c" }, "ambiguous-fields", /label, answer/],
  ["messages beside a text", { text: "a", messages: [], label: "b" }, "ambiguous-fields", /messages/],
  ["a nested input", { input: { a: "b" }, target: "c" }, "wrong-value", /input: expected a text, found an object/],
  ["a nested target", { input: "a", target: [["b"]] }, "wrong-value", /target: expected a text, found a list/],
  ["an empty input", { input: " \n", target: "c" }, "empty-input", /input/],
  ["an empty target", { input: "a", target: " " }, "empty-target", /target: expected an answer/],
  ["no answer at all", { input: "a", target: [] }, "empty-target", /answer/],
  ["a zero character", { input: "a\0", target: "b" }, "encoding", /zero/],
  ["half a character", { input: "a", target: "b\ud83d" }, "encoding", /surrogate/],
  [
    "a foreign split",
    { input: "a", target: "b", split: "holdout" },
    "split",
    /expected train, validation or test, found "holdout"/,
  ],
  [
    "choices without the target",
    { input: "a", target: "c", choices: ["a", "b"] },
    "not-a-choice",
    /among the choices "a", "b", found "c"/,
  ],
  ["a single choice", { input: "a", target: "a", choices: ["a"] }, "not-a-choice", /at least two different/],
  ["choices that are no list", { input: "a", target: "a", choices: { text: ["a"] } }, "not-a-choice", /an object/],
  ["messages without an answer", { messages: [{ role: "user", content: "q" }] }, "wrong-value", /last one/],
  ["no messages", { messages: [] }, "wrong-value", /last one/],
  ["messages that are a text", { messages: "hello" }, "wrong-value", /list of { role, content }/],
  ["a tool's message", { messages: [{ role: "tool", content: "x" }] }, "wrong-value", /messages\[0\]\.role/],
  ["a picture", { messages: [{ role: "user", content: [{ type: "image_url" }] }] }, "wrong-value", /another type/],
  ["an empty answer", { messages: [{ role: "assistant", content: "" }] }, "empty-target", /empty/],
])("%s is a bad row", (_name, row, kind, message) => {
  const task = build([{ input: "fine", target: "x" }, row]);
  // The fine row has no split and no choices: where the other one brought some, it would be the bad one.
  expect(problemsOf(task)).toEqual([[2, kind]]);
  expect(task.problems[0]?.problem).toMatch(message);
  expect(task.instances).toBe(1);
  expect(countProblems(task)).toBe(1);
  expect(() => build([row], { strict: true })).toThrow(/^f\.jsonl: line 1: /);
});

test("the number of a label that stands there in words is no unused field, and a template may use it", () => {
  const row = { text: "a", label: 1, label_text: "good" };
  expect(build([row]).unusedFields).toEqual([]);
  const templates = [{ text: "{{ text }} ||| {{ answer_choices[label] }}", answerChoices: "No ||| Yes" }];
  expect(only(row, { templates })).toEqual(["a", ["Yes"], ["No", "Yes"]]);
});

test("fields that nothing reads are named", () => {
  const task = build([
    { input: "a", target: "b", id: 1, note: null },
    { input: "a", target: "b", title: "t" },
  ]);
  expect(task.unusedFields).toEqual(["id", "title"]);
  const template = [{ text: "{{ title }} {{ input }}" }];
  expect(build([{ input: "a", target: "b", id: 1, title: "t" }], { templates: template }).unusedFields).toEqual(["id"]);
});

const labelled = (count: number, labels: number): RawRow[] =>
  Array.from({ length: count }, (_, index) => ({ text: `text ${index}`, label: `l${index % labels}` }));

test.each([
  [10, 2, "inferred"],
  [9, 2, "none"],
  [250, 50, "inferred"],
  [249, 50, "none"],
  [255, 51, "none"],
  [100, 1, "none"],
])("of %i rows with %i targets the choices are %s", (rows, labels, choicesFrom) => {
  const task = build(labelled(rows, labels));
  expect(task.templates).toMatchObject([{ name: "input", choicesFrom, distinctTargets: labels }]);
  const expected =
    choicesFrom === "none" ? undefined : [...new Set(labelled(rows, labels).map(({ label }) => String(label)))].sort();
  expect(task.templates[0]?.choices).toEqual(expected);
  for (const { choices } of examplesOf(task)) expect(choices).toBe(task.templates[0]?.choices);
  expect(task.templates[0]?.choicesNote).toContain(`${labels} different`);
});

test("given choices judge every row, and `none` infers nothing", () => {
  const rows = [...labelled(10, 2), { text: "x", label: "maybe" }];
  const task = build(rows, { choices: ["l1 ", "l0"] });
  expect(task.templates[0]).toMatchObject({ choices: ["l1", "l0"], choicesFrom: "option" });
  expect(problemsOf(task)).toEqual([[11, "not-a-choice"]]);
  expect(build(labelled(10, 2), { choices: "none" }).templates[0]).toMatchObject({ choicesFrom: "none" });
  expect(only({ input: "a", target: "b", choices: ["b", "c"] }, { choices: "none" })).toEqual(["a", ["b"], undefined]);
  for (const choices of [["a"], ["a", "a "], ["a", ""]]) {
    expect(() => build([], { choices })).toThrow(expect.objectContaining({ code: "invalid-config" }));
  }
});

test("rows may bring their choices; then all must", () => {
  const rows = [
    { input: "a", target: ["b", "x"], choices: ["b", "c"] },
    { input: "d", target: "f", choices: '["e", " f "]' },
    { input: "g", target: "h" },
  ];
  const task = build(rows);
  expect(examplesOf(task).map(({ targets, choices }) => [targets, choices])).toEqual([
    [["b"], ["b", "c"]],
    [["f"], ["e", "f"]],
  ]);
  expect(task.templates[0]).toMatchObject({ choicesFrom: "rows" });
  expect(task.templates[0]?.choices).toBeUndefined();
  expect(problemsOf(task)).toEqual([[3, "not-a-choice"]]);
});

const nli = {
  text: "{{ premise }}\nDoes it follow: {{ hypothesis }}? ||| {{ answer_choices[label] }}",
  answerChoices: "Yes ||| No",
};

test("templates render raw rows, with their own choices", () => {
  const row = { premise: "p ||| q", hypothesis: "h", label: 1 };
  const task = build([row, row], { templates: [{ ...nli, name: "nli" }, { text: "{{ hypothesis }}|||{{ label }}" }] });
  expect(task.templates.map(({ name, choices, choicesFrom }) => [name, choices, choicesFrom])).toEqual([
    ["nli", ["Yes", "No"], "template"],
    ["template 2", undefined, "none"],
  ]);
  const [first, second] = examplesOf(task);
  expect(first).toMatchObject({
    input: "p ||| q\nDoes it follow: h?",
    targets: ["No"],
    choices: ["Yes", "No"],
    instance: 0,
    template: 0,
  });
  expect(second).toMatchObject({ input: "h", targets: ["1"], instance: 0, template: 1 });
});

test("a template without ||| leaves the target to the row; choices may depend on it", () => {
  expect(only({ text: "a", label: "b" }, { templates: [{ text: "Sort: {{ text }}" }] })).toEqual([
    "Sort: a",
    ["b"],
    undefined,
  ]);
  const templates = [{ text: "{{ q }} ||| {{ answer_choices[0] }}", answerChoices: "{{ options | join('|||') }}" }];
  expect(only({ q: "a", options: ["x", "y"] }, { templates })).toEqual(["a", ["x"], ["x", "y"]]);
});

test.each<[string, string, string | undefined, RawRow, string, RegExp]>([
  [
    "a printed field that is absent",
    "{{ a }} ||| {{ b.c }}",
    undefined,
    { a: "x" },
    "missing-field",
    /field b,.*found a/,
  ],
  ["null", "{{ a }} ||| {{ b }}", undefined, { a: null, b: "x" }, "missing-field", /field a,.* found null in it/],
  [
    "no target on this row",
    "{{ a }}{% if a == 'y' %} ||| z{% endif %}",
    undefined,
    { a: "x" },
    "template",
    /found 1 parts/,
  ],
  ["three parts", "a ||| b ||| {{ c }}", undefined, { c: "x" }, "template", /found 3 parts/],
  ["an empty target", "a ||| {{ answer_choices[c] }}", "x ||| y", { c: 5 }, "empty-target", /target/],
  ["an empty input", "{{ c }} ||| b", undefined, { c: " " }, "empty-input", /input/],
  ["a zero character", "{{ c }} ||| b", undefined, { c: "a\0" }, "encoding", /zero/],
  ["equal choices", "{{ c }} ||| b", "{{ c }} ||| {{ c }}", { c: "b" }, "not-a-choice", /different answer choices/],
  ["a failing filter", "{{ c | join }} ||| b", undefined, { c: 5 }, "template", /fails on this row/],
])("templates: %s is a bad row", (_name, text, answerChoices, row, kind, message) => {
  const task = build([row], { templates: [{ text, ...(answerChoices && { answerChoices }) }] });
  expect(problemsOf(task)).toEqual([[1, kind]]);
  expect(task.problems[0]?.problem).toMatch(message);
});

test("a field that a template asks for first may be absent", () => {
  const text =
    "{% if context %}{{ context }}: {% endif %}{{ q }}{{ note | default('') }}{% for k in tags if tags is defined %}{{ k }}{% endfor %} ||| {% set t = a %}{{ t }}";
  expect(only({ q: "q", a: "a", tags: ["z"] }, { templates: [{ text }] })).toEqual(["qz", ["a"], undefined]);
  expect(only({ a: "a" }, { templates: [{ text }] })).toBeUndefined();
});

test("broken templates are refused before any row", () => {
  for (const template of [{ text: "{% if %}" }, { text: "{{ x" }, { text: "{{ x }} ||| {{ answer_choices[0] }}" }]) {
    expect(() => build([], { templates: [template] })).toThrow(expect.objectContaining({ code: "invalid-config" }));
  }
});

test("a split field is obeyed, with aliases, and missing splits are taken from the training rows", () => {
  const rows = Array.from({ length: 200 }, (_, index) => ({
    text: `text ${index}`,
    label: `l${index % 2}`,
    split: index < 150 ? "Train" : "test",
  }));
  const task = build(rows);
  expect(task).toMatchObject({ splitFrom: "field", splitsMade: ["validation"] });
  expect(task.splits.test.map(({ place }) => place.line)).toEqual(
    Array.from({ length: 50 }, (_, index) => 151 + index),
  );
  expect(task.splits.validation.length).toBeGreaterThan(4);
  expect(task.splits.validation.every(({ place }) => place.line <= 150)).toBe(true);
  const withDev = build([...rows, { text: "d", label: "l0", split: "dev" }, { text: "e", label: "l0" }]);
  expect(withDev.splitsMade).toEqual([]);
  expect(withDev.splits.validation).toHaveLength(1);
  expect(problemsOf(withDev)).toEqual([[202, "split"]]);
});

test("rows that stand in a judging split too are taken out and named", () => {
  const task = build([
    { text: "a", label: "x", split: "train" },
    { text: "b ", label: "x", split: "train" },
    { text: "c", label: "x", split: "train" },
    { text: "b", label: "y", split: "validation" },
    { text: "d", label: "y", split: "validation" },
    { text: "a", label: "x", split: "test" },
    { text: " b", label: "x", split: "test" },
  ]);
  const place = (line: number) => ({ file: "f.jsonl", line });
  expect(task.leaks).toEqual([
    { split: "validation", place: place(4), of: { split: "test", place: place(7) }, input: "b", targets: ["y"] },
    { split: "train", place: place(1), of: { split: "test", place: place(6) }, input: "a", targets: ["x"] },
    { split: "train", place: place(2), of: { split: "test", place: place(7) }, input: "b ", targets: ["x"] },
  ]);
  expect(SPLITS.map((split) => task.splits[split].map(({ place: { line } }) => line))).toEqual([[3], [5], [6, 7]]);
  expect(task.instances).toBe(7);
});

test("rows that leak do not fill the splits that are made", () => {
  const leaking = ["a", "b", "c"].flatMap((text) => [
    { text, label: "x", split: "train" },
    { text, label: "x", split: "test" },
  ]);
  const own = ["d", "e", "f"].map((text) => ({ text, label: "x", split: "train" }));
  for (let seed = 0; seed < 20; seed++) {
    const { splits, leaks } = build([...leaking, ...own], { seed });
    expect(leaks).toHaveLength(3);
    expect(splits.validation.length).toBeGreaterThan(0);
    expect(splits.train.length + splits.validation.length).toBe(3);
  }
});

test.each([
  [0, [0, 0, 0]],
  [1, [1, 0, 0]],
  [2, [1, 1, 0]],
  [3, [1, 1, 1]],
])("%i different inputs are split into %j", (count, expected) => {
  for (let seed = 0; seed < 20; seed++) {
    const task = build([...labelled(count, 1), ...labelled(count, 1)], { seed });
    expect(SPLITS.map((split) => new Set(task.splits[split].map(({ input }) => input)).size)).toEqual(expected);
  }
});

test("made splits: 80/10/10, disjoint, deterministic, stable when rows are added, equal inputs together", () => {
  const word = fc.constantFrom("Alpha", "alpha!", "beta", "BETA", "gamma", ":)", ":(", "δ", "");
  const inputs = fc.array(
    fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join(" ")),
    { minLength: 30, maxLength: 80 },
  );
  fc.assert(
    fc.property(inputs, inputs, fc.integer({ min: 0, max: 2 ** 32 - 1 }), (first, more, seed) => {
      const base = Array.from({ length: 60 }, (_, index) => `row ${index}`);
      const rows = [...base, ...first, ...more]
        .filter((text) => text.trim() !== "")
        .map((input) => ({ input, target: "t" }));
      const part = rows.slice(0, -more.filter((text) => text.trim() !== "").length || rows.length);
      const whole = build(rows, { seed });
      expect(build(rows, { seed })).toEqual(whole);
      const splitOf = new Map<string, string>();
      for (const split of SPLITS) {
        for (const { input } of whole.splits[split]) {
          const words =
            input
              .toLowerCase()
              .match(/[\p{L}\p{N}]+/gu)
              ?.join(" ") ?? input.trim();
          expect(splitOf.get(words) ?? split).toBe(split);
          splitOf.set(words, split);
        }
      }
      expect(SPLITS.flatMap((split) => whole.splits[split])).toHaveLength(rows.length);
      const before = build(part, { seed });
      for (const split of SPLITS) {
        const now = new Set(whole.splits[split].map(({ place }) => place.line));
        expect(before.splits[split].every(({ place }) => now.has(place.line))).toBe(true);
      }
    }),
    { numRuns: 40 },
  );
  const many = build(labelled(5000, 2), { seed: 7 });
  // Three standard errors of a share of 10 % of 5,000.
  for (const split of ["validation", "test"] as const)
    expect(Math.abs(many.splits[split].length - 500)).toBeLessThan(64);
  expect(build(labelled(5000, 2), { seed: 8 }).splits.test).not.toEqual(many.splits.test);
});

import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parsePromptTemplates } from "./parse-prompt-templates.js";
import { compilePromptTemplate, type PromptTemplateSource } from "./prompt-template.js";

const fixtures = "test/fixtures/prompts";
const read = (name: string): string => readFileSync(join(fixtures, name), "utf8");

const source: PromptTemplateSource = {
  id: "1",
  name: "one",
  jinja: "",
  reference: "",
  originalTask: true,
  choicesInPrompt: true,
  metrics: [],
  languages: ["en"],
};
const compile = (jinja: string, answerChoices?: string) =>
  compilePromptTemplate({ ...source, jinja, ...(answerChoices === undefined ? {} : { answerChoices }) });
const first = () => 0;
const render = (jinja: string, row: Record<string, unknown>, answerChoices?: string) =>
  compile(jinja, answerChoices).render(row, first);

test("what promptsource makes of the fixture, part by part", () => {
  const expected: Record<string, { parts: string[]; choices: string[] | null }[]> = JSON.parse(read("expected.json"));
  const rows: Record<string, Record<string, unknown>[]> = JSON.parse(read("rows.json"));
  const { dataset, templates } = parsePromptTemplates(read("templates.yaml"), "templates.yaml");
  expect(templates.map(({ name }) => name)).toEqual(Object.keys(expected));
  const kinds = new Set<string>();
  for (const template of templates) {
    const rendered = (rows[dataset] ?? []).map((row) => template.render(row, first));
    const wanted = (expected[template.name] ?? []).map(({ parts: [input = "", ...targets], choices }) => {
      if (input === "" || targets.every((target) => target === "")) return { kind: "skipped" };
      const distinct = [...new Set(choices)];
      const targetIsChoice = choices === null || targets.every((target) => choices.includes(target));
      const hasChoices = distinct.length >= 2 && targetIsChoice;
      return { kind: "example", example: { input, targets, ...(hasChoices && { choices: distinct }) }, targetIsChoice };
    });
    expect(rendered, template.name).toEqual(wanted);
    for (const { kind } of rendered) kinds.add(kind);
  }
  expect(kinds).toEqual(new Set(["example", "skipped"]));
});

test("a field that is missing or null is named", () => {
  const jinja = "{{ premise }} {{ choices.text | join(', ') }} ||| {{ answer_choices[label] }}";
  const row = { premise: "p", choices: { text: ["a", "b"] }, label: 1 };
  const fieldOf = (changed: Record<string, unknown>) => render(jinja, { ...row, ...changed }, "x ||| y");
  expect(fieldOf({})).toMatchObject({
    kind: "example",
    example: { input: "p a, b", targets: ["y"], choices: ["x", "y"] },
  });
  expect(fieldOf({ choices: {} })).toEqual({
    kind: "problem",
    field: "choices.text",
    problem: "choices.text: expected a value, found none",
  });
  expect(fieldOf({ premise: null })).toMatchObject({ field: "premise" });
  expect(fieldOf({ label: 2 })).toMatchObject({ field: "answer_choices[label]" });
  const { premise: _, ...rest } = row;
  expect(render(jinja, rest, "x ||| y")).toEqual({
    kind: "problem",
    field: "premise",
    problem: "expected a field premise, found choices, label",
  });
  expect(render("{{ a[1:] }} ||| b", { a: null })).toMatchObject({ field: "a" });
  expect(render("{% for x in a.b %}{{ x }}{% endfor %} ||| b", { a: {} })).toMatchObject({ field: "a.b" });
  expect(render("{{ a | choice }} ||| b", { a: [] })).toMatchObject({ field: "a" });
  expect(render("{{ a.index(3) }} ||| b", { a: [1] })).toMatchObject({ field: "a" });
});

test("and, or, in and not are no fields", () => {
  const { fields } = compile("{% if a and not b or c in d %}{{ a }}{% endif %} ||| x");
  expect([...fields].sort()).toEqual(["a", "b", "c", "d"]);
});

test("a missing field that another one resembles", () => {
  expect(render("{{ premise }} ||| x", { premises: "p" })).toMatchObject({
    problem: "expected a field premise, found premises; is it premises?",
  });
});

test("arguments beyond those that templates of promptsource give", () => {
  const row = { a: "x-y-z", list: [1, 2] };
  const inputOf = (jinja: string) => render(`${jinja} ||| t`, row);
  expect(inputOf("{{ a | replace('-', '+', 1) }}")).toMatchObject({ example: { input: "x+y-z" } });
  expect(inputOf("{{ list | join(separator='/') }}")).toMatchObject({ example: { input: "1/2" } });
  expect(inputOf("{{ list | reject('odd') }}")).toMatchObject({
    kind: "problem",
    problem: expect.stringContaining("equalto"),
  });
  expect(inputOf("{{ a | upside_down }}")).toMatchObject({
    kind: "problem",
    problem: expect.stringContaining("upside_down"),
  });
});

test("what is no input and target", () => {
  expect(render("{{ a }}", { a: "x" })).toMatchObject({ kind: "problem", problem: expect.stringContaining("|||") });
  expect(render("{{ a }} |||", { a: "x" })).toEqual({ kind: "skipped" });
  expect(render("{{ a }} ||| {{ a }}", { a: "" })).toEqual({ kind: "skipped" });
  expect(render("{{ a }} ||| no", { a: "x" }, "yes ||| maybe")).toEqual({
    kind: "example",
    example: { input: "x", targets: ["no"] },
    targetIsChoice: false,
  });
});

test("what cannot be compiled is refused", () => {
  const templates = (text: string) => parsePromptTemplates(text, "t.yaml");
  const file = (jinja: string, more = "") =>
    `dataset: d\ntemplates:\n  a: !Template\n    answer_choices: null\n    id: a\n    jinja: ${JSON.stringify(jinja)}\n    metadata: !TemplateMetadata {}\n    name: one\n${more}`;
  expect(templates(file("a ||| b")).templates).toHaveLength(1);
  expect(() => templates(file("{% if %} ||| b"))).toThrow(/t\.yaml: template "one": expected Jinja/);
  expect(() => templates(file("{{ answer_choices[0] }} ||| b"))).toThrow(/template "one": expected answer choices/);
  expect(() => templates(file("a", "    reference: !!python/object:os.system x\n"))).toThrow(/t\.yaml: expected YAML/);
  expect(() => templates(file("a", "   reference: x\n"))).toThrow(/t\.yaml: expected YAML/);
  expect(() => templates("dataset: d\n")).toThrow(/t\.yaml:\n.*templates/s);
  const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${"bcdefgh"
    .split("")
    .map((name, i) => `${name}: &${name} [${`*${"abcdefg"[i]},`.repeat(9)}]`)
    .join("\n")}\n`;
  expect(() => templates(bomb)).toThrow(/t\.yaml: expected YAML/);
});

test("what is nested too deep for the stack is told in words", () => {
  const deep = (open: string, close: string) => open.repeat(100_000) + close.repeat(100_000);
  expect(() => compile(`{{ ${deep("(", ")")} }} ||| x`)).toThrow(expect.objectContaining({ code: "invalid-file" }));
  expect(render("{{ a }} ||| x", { a: JSON.parse(deep("[", "]")) })).toMatchObject({ kind: "problem" });
});

test("a range that would fill the memory is refused", () => {
  expect(render("{% for i in range(n) %}x{% endfor %} ||| y", { n: 1e9 })).toMatchObject({ field: "range" });
});

test("dividers and braces of the row never divide or run", () => {
  const text = fc
    .array(fc.constantFrom("|||", "|", "{{", "}}", "{%", "a", " ", "é", "🎉", "\n"), { minLength: 1 })
    .map((parts) => parts.join(""));
  fc.assert(
    fc.property(text, fc.array(text), (one, list) => {
      const rendered = render("x{{ one }}x {{ list | join('-') }} ||| y{{ one }}y", { one, list });
      const input = `x${one}x ${list.join("-")}`;
      // Python's strip and trim agree on these characters.
      expect(rendered).toMatchObject({ kind: "example", example: { input: input.trim(), targets: [`y${one}y`] } });
    }),
  );
});

test("whatever a row holds, there is a result in words", () => {
  const { templates } = parsePromptTemplates(read("templates.yaml"), "templates.yaml");
  const names = [...new Set(templates.flatMap(({ fields }) => [...fields]))];
  const row = fc.record(Object.fromEntries(names.map((name) => [name, fc.jsonValue({ maxDepth: 3 })])));
  fc.assert(
    fc.property(row, (value) => {
      for (const template of templates) {
        const rendered = template.render(value, first);
        expect(["example", "skipped", "problem"]).toContain(rendered.kind);
      }
    }),
    { numRuns: 60 },
  );
});

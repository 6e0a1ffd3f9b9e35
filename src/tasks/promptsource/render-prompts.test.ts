import { expect, test } from "vitest";
import type { RawRow } from "../row-values.js";
import { compilePromptTemplate } from "./prompt-template.js";
import { describePromptReport, renderPrompts } from "./render-prompts.js";

const template = (name: string, jinja: string, answerChoices?: string) =>
  compilePromptTemplate({
    id: name,
    name,
    jinja,
    ...(answerChoices === undefined ? {} : { answerChoices }),
    reference: "",
    originalTask: true,
    choicesInPrompt: false,
    metrics: [],
    languages: [],
  });

const templates = {
  dataset: "own/set",
  templates: [
    template("plain", "{{ text }} ||| {{ answer_choices[label] }}", "no ||| yes"),
    template("guarded", "{% if label != -1 %}{{ text }} ||| {{ answer_choices[label] }}{% endif %}", "no ||| yes"),
    template("mixed", "{{ text }} ||| {{ answer_choices[0] if text == 'a' else 'other' }}", "no ||| yes"),
    template("absent", "{{ title }} ||| {{ label }}"),
    template("chance", "{{ ['x', 'y', 'z', 'v', 'w'] | choice }} {{ text }} ||| {{ label }}"),
  ],
};
const rows: readonly RawRow[] = [
  { text: "a", label: 1 },
  { text: "b", label: 0 },
  { text: "c", label: -1 },
  { text: null, label: 5 },
];

test("a task for each template, and a report that accounts for every row", () => {
  const { tasks, report } = renderPrompts(templates, rows);
  expect(tasks.map(({ name, instances }) => [name, instances.length])).toEqual([
    ["own/set/plain", 3],
    ["own/set/guarded", 2],
    ["own/set/mixed", 3],
    ["own/set/chance", 3],
  ]);
  expect(tasks[0]).toMatchObject({
    definition: "",
    templates: ["{{ input }}"],
    instances: [
      { fields: { input: "a" }, targets: ["yes"], choices: ["no", "yes"] },
      { fields: { input: "b" }, targets: ["no"], choices: ["no", "yes"] },
      { fields: { input: "c" }, targets: ["yes"], choices: ["no", "yes"] },
    ],
  });
  expect(tasks[2]?.instances.some(({ choices }) => choices !== undefined)).toBe(false);
  expect(report).toMatchObject({ dataset: "own/set", rows: 4, usable: 4 });
  expect(report.templates.map(({ name: _, id: __, rows: ___, ...rest }) => rest)).toEqual([
    {
      rendered: 3,
      skipped: 0,
      withoutChoices: 0,
      problems: [{ field: "text", problem: "text: expected a value, found none", rows: 1, firstRow: 4 }],
    },
    { rendered: 2, skipped: 1, withoutChoices: 0, problems: [expect.objectContaining({ field: "text", rows: 1 })] },
    { rendered: 3, skipped: 0, withoutChoices: 2, problems: [expect.objectContaining({ field: "text" })] },
    {
      rendered: 0,
      skipped: 0,
      withoutChoices: 0,
      problems: [{ field: "title", problem: "expected a field title, found text, label", rows: 4, firstRow: 1 }],
    },
    { rendered: 3, skipped: 0, withoutChoices: 0, problems: [expect.objectContaining({ field: "text" })] },
  ]);
  for (const one of report.templates) {
    expect(one.rendered + one.skipped + one.problems.reduce((sum, problem) => sum + problem.rows, 0)).toBe(one.rows);
  }
  expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  const text = describePromptReport(report);
  expect(text).toContain("own/set: 4 of 5 templates");
  expect(text).toContain("absent: 0 of 4 rows; 4 from row 1 on: expected a field title");
});

test("what chance decides depends on seed, template and row alone", () => {
  const inputs = (of: readonly RawRow[], seed?: number) =>
    renderPrompts(templates, of, seed === undefined ? {} : { seed })
      .tasks.at(-1)
      ?.instances.map(({ fields }) => fields.input);
  const many = Array.from({ length: 40 }, () => ({ text: "t", label: 0 }));
  expect(inputs(many)).toEqual(inputs(many));
  expect(inputs(many.slice(0, 10))).toEqual(inputs(many)?.slice(0, 10));
  expect(inputs(many, 2)).not.toEqual(inputs(many));
  expect(new Set(inputs(many))).toHaveLength(5);
});

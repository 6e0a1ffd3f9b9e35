import { describe, expect, it } from "vitest";
import { sha256 } from "../../src/core/hash.js";
import {
  findGeneratedTask,
  generatedTasks,
  generateSplits,
  generateTask,
  instanceText,
} from "../../src/tasks/generated/index.js";
import { renderTemplate } from "../../src/tasks/template.js";

const training = generatedTasks.filter((task) => task.role === "training");
const heldOut = generatedTasks.filter((task) => task.role === "held-out");

describe("the list of generated tasks", () => {
  it("has at least 24 tasks in 8 families, 6 of them held out, of all three difficulties", () => {
    expect(training.length).toBeGreaterThanOrEqual(24);
    expect(new Set(training.map((task) => task.family)).size).toBeGreaterThanOrEqual(8);
    expect(heldOut.length).toBeGreaterThanOrEqual(6);
    for (const difficulty of ["words", "order", "comparison"]) {
      expect(generatedTasks.filter((task) => task.difficulty === difficulty).length).toBeGreaterThanOrEqual(8);
    }
    for (const task of heldOut) expect(training.map(({ family }) => family)).toContain(task.family);
  });

  it("names each task once, after its family", () => {
    expect(new Set(generatedTasks.map((task) => task.name)).size).toBe(generatedTasks.length);
    for (const task of generatedTasks) expect(task.name.split("/")[0]).toBe(task.family);
  });

  it("shares no template between tasks", () => {
    const templates = generatedTasks.flatMap((task) => task.templates);
    expect(templates.filter((template, index) => templates.indexOf(template) !== index)).toEqual([]);
  });

  it("labels the tasks of a family differently where the labels are opinions or verdicts", () => {
    // Each has a sibling with the same labels in other clauses, so that there is something to transfer.
    const siblings = ["intent/bank-letters", "intent/library-mail", "topic/club-diaries"];
    for (const family of ["sentiment", "entailment", "topic", "intent"]) {
      const choices = generatedTasks.flatMap((task) =>
        task.family === family && task.choices && !siblings.includes(task.name) ? [task.choices.join()] : [],
      );
      expect(new Set(choices).size).toBe(choices.length);
    }
  });

  it("finds a task by name and suggests a similar one", () => {
    expect(findGeneratedTask("numbers/double").definition).toContain("double");
    expect(() => findGeneratedTask("sentiment/hotel-review")).toThrow(/did you mean sentiment\/hotel-reviews\?/);
    expect(() => findGeneratedTask("Lost-Property")).toThrow(/did you mean extraction\/lost-property\?/);
    expect(() => findGeneratedTask("")).toThrow(/expected one of sentiment\//);
  });
});

describe.each(generatedTasks.map((task) => ({ name: task.name, task })))("$name", ({ task }) => {
  const { instances } = generateTask(task, { seed: 11, count: 1000 });

  it("has at least three templates that show every field and no other", () => {
    expect(task.templates.length).toBeGreaterThanOrEqual(3);
    const fields = Object.keys(instances[0]?.fields ?? {}).sort();
    for (const template of task.templates) {
      expect(template).toMatch(/^[\x20-\x7e\n]+$/);
      const used = [...template.matchAll(/\{\{ (\w+) \}\}/g)].map((match) => match[1]);
      expect(used.toSorted()).toEqual(fields);
      const marked = Object.fromEntries(fields.map((field) => [field, `<${field}>`]));
      expect(renderTemplate(template, marked)).not.toMatch(/[{}]/);
    }
  });

  it("has one target, among the choices where there are any", () => {
    for (const instance of instances) {
      expect(instance.targets).toHaveLength(1);
      expect(instance.targets[0]?.trim()).toBeTruthy();
      const choices = instance.choices ?? task.choices;
      if (choices === undefined) continue;
      expect(choices).toContain(instance.targets[0]);
      expect(new Set(choices).size).toBe(choices.length);
    }
  });

  it("writes plain text without holes", () => {
    for (const instance of instances) {
      for (const value of [...Object.values(instance.fields), ...instance.targets]) {
        expect(value).not.toMatch(/undefined|\s\s|^\s|\s$|\.\.|[^\x20-\x7eé]/);
      }
    }
  });

  it("balances its answers within five percentage points", () => {
    if (task.choices === undefined) {
      // Choices that differ between instances: the target's place among them must not give it away.
      const places = instances.flatMap(({ choices, targets }) =>
        choices ? [choices.indexOf(targets[0] ?? "") / (choices.length - 1)] : [],
      );
      if (places.length > 0) {
        const mean = places.reduce((sum, place) => sum + place, 0) / places.length;
        expect(Math.abs(mean - 0.5)).toBeLessThan(0.1);
      }
      return;
    }
    for (const choice of task.choices) {
      const share = instances.filter(({ targets }) => targets[0] === choice).length / instances.length;
      expect(Math.abs(share - 1 / task.choices.length)).toBeLessThanOrEqual(0.05);
    }
  });

  it("repeats itself for equal options, appends for more, and differs for another seed or offset", () => {
    const few = generateTask(task, { seed: 11, count: 50 }).instances;
    expect(few).toEqual(instances.slice(0, 50));
    expect(generateTask(task, { seed: 12, count: 50 }).instances).not.toEqual(few);
    expect(generateTask(task, { seed: 11, count: 50, offset: 1_000_000 }).instances).not.toEqual(few);
  });

  it("gives at least 10,000 distinct instances in 12,000 draws", () => {
    const seen = new Set<string>();
    for (let draw = 0; draw < 12_000; draw += 1) {
      for (const instance of generateTask(task, { seed: 5, count: 1, offset: draw }).instances)
        seen.add(instanceText(instance));
    }
    expect(seen.size).toBeGreaterThanOrEqual(10_000);
  });

  it("shares no input between splits, and keeps the test rows when the training rows grow", () => {
    const splits = generateSplits(task, { seed: 3, train: 1500, validation: 200, test: 300 });
    const inputs = [splits.train, splits.validation, splits.test].flatMap((split) => split.instances.map(instanceText));
    expect(inputs).toHaveLength(2000);
    expect(new Set(inputs).size).toBe(2000);
    expect(generateSplits(task, { seed: 3, train: 10, validation: 0, test: 300 }).test).toEqual(splits.test);
  });
});

describe("held-out tasks", () => {
  it("share no input and no template with training tasks", () => {
    const inputs = (tasks: typeof generatedTasks) =>
      new Set(tasks.flatMap((task) => generateTask(task, { seed: 21, count: 10_000 }).instances.map(instanceText)));
    const seen = inputs(training);
    expect([...inputs(heldOut)].filter((input) => seen.has(input))).toEqual([]);
  });
});

describe("options", () => {
  const task = findGeneratedTask("numbers/double");

  it("refuses counts, seeds and offsets out of range", () => {
    expect(() => generateTask(task, { seed: -1, count: 1 })).toThrow(/numbers\/double: expected seed/);
    expect(() => generateTask(task, { seed: 1, count: 1.5 })).toThrow(/expected count/);
    expect(() => generateTask(task, { seed: 1, count: 1, offset: 2 ** 32 })).toThrow(/expected offset/);
    expect(generateTask(task, { seed: 1, count: 0 }).instances).toEqual([]);
  });

  it("says so when a task repeats itself too often", () => {
    const constant = { ...task, generate: () => ({ fields: { text: "1" }, targets: ["2"] }) };
    expect(() => generateTask(constant, { seed: 1, count: 2 })).toThrow(/1 distinct instances in 1040 draws/);
  });
});

describe("the same rows on every machine", () => {
  it("match the committed hashes; `vitest run test/tasks -u` rewrites them after a wanted change", async () => {
    const lines = await Promise.all(
      generatedTasks.map(async (task) => {
        const rows = JSON.stringify(generateTask(task, { seed: 42, count: 20 }).instances);
        return `${task.name} ${(await sha256(new TextEncoder().encode(rows))).slice(0, 16)}\n`;
      }),
    );
    await expect(lines.join("")).toMatchFileSnapshot("golden-hashes.txt");
  });
});

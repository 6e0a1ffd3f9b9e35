import { expect, test } from "vitest";
import { createRandom } from "../core/random.js";
import type { Instance } from "../tasks/task.js";
import { formatInstruction } from "./instruction-format.js";

const task = {
  definition: "Say what it is about.",
  templates: ["{{ text }}\nTopic?", "What is this about? {{ text }}", "{{ text }}"],
  choices: ["sea", "sky", "soil"],
};
const instance: Instance = { fields: { text: "Waves at the shore." }, targets: ["sea", "water"] };

function inputs(given: Parameters<typeof formatInstruction>[0] = task, one = instance): string[] {
  return Array.from({ length: 400 }, (_, seed) => formatInstruction(given, one, createRandom(seed)).input);
}

test("one random state gives one wording, with the accepted answers and the choices", () => {
  const format = () => formatInstruction(task, instance, createRandom(7));
  expect(format()).toEqual(format());
  expect(format()).toMatchObject({ targets: ["sea", "water"], choices: ["sea", "sky", "soil"] });
});

test("every template, place of the definition and way to list choices occurs", () => {
  const all = inputs();
  for (const part of ["\nTopic?", "What is this about?"]) {
    expect(all.some((input) => input.includes(part))).toBe(true);
  }
  const share = (holds: (input: string) => boolean): number => all.filter(holds).length / all.length;
  // 35 %, 15 % and 50 %; listed or not: halves. Four standard deviations of 400 draws are below 10 points.
  expect(Math.abs(share((input) => input.startsWith(task.definition)) - 0.35)).toBeLessThan(0.1);
  expect(Math.abs(share((input) => !input.includes(task.definition)) - 0.5)).toBeLessThan(0.1);
  expect(Math.abs(share((input) => input.includes("soil")) - 0.5)).toBeLessThan(0.1);
  for (const list of [/Options: /, /OPTIONS:\n- /, /Choose one of: .* \| /, /Possible answers: .*; /, /\(sky\)/]) {
    expect(share((input) => list.test(input))).toBeGreaterThan(0.04);
  }
});

test("a list of choices holds each once and in no order of its own", () => {
  const orders = new Set<string>();
  for (const input of inputs()) {
    const found = input.match(/\b(sea|sky|soil)\b/g) ?? [];
    expect([0, 3]).toContain(found.length);
    if (found.length === 3) {
      expect(new Set(found).size).toBe(3);
      orders.add(found.join());
    }
  }
  expect(orders.size).toBe(6);
});

test("choices of an instance are always listed and take the place of the task's", () => {
  const own: Instance = { fields: { text: "A." }, targets: ["x1"], choices: ["x1", "x2"] };
  for (const input of inputs(task, own)) {
    expect(input).toContain("x1");
    expect(input).toContain("x2");
    expect(input).not.toContain("sky");
  }
});

test("long definitions and long lists are left out, an empty definition adds no empty line", () => {
  const long = { ...task, definition: "d".repeat(301), choices: Array.from({ length: 21 }, (_, index) => `c${index}`) };
  for (const input of inputs(long)) {
    expect(input).not.toContain("ddd");
    expect(input).not.toContain("c20");
  }
  for (const input of inputs({ ...task, definition: "" })) {
    expect(input).toBe(input.trim());
    expect(input).not.toContain("\n\n");
  }
});

test("the task's own choices are not reordered", () => {
  inputs();
  expect(task.choices).toEqual(["sea", "sky", "soil"]);
});

import { expect, test } from "vitest";
import type { Task } from "../tasks/task.js";
import { generatedComposition, jointComposition } from "./elm-compositions.js";

const task = (name: string, definition: string, inputs: number, answer: (row: number) => string[]): Task => ({
  name,
  definition,
  templates: ["{{ input }}"],
  instances: Array.from({ length: inputs }, (_, row) => ({
    fields: { input: `country ${row}` },
    targets: answer(row),
  })),
});
const capital = task("capital", "Name the capital.", 12, (row) => [`city ${row}`, `town ${row}`]);
const money = task("money", "Name the money.", 10, (row) => [`coin ${row}`]);

test("two tasks are asked at once on the rows that both are trained on", () => {
  const { parts, composed } = jointComposition("both", [capital, money], { validation: 3, test: 5 });
  for (const { splits } of parts) {
    expect([splits.train.length, splits.validation.length, splits.test.length]).toEqual([7, 3, 0]);
  }
  expect(composed.splits.test).toHaveLength(5);
  const known = parts[0].splits.train.map(({ input }) => input.replace("Name the capital.\n", ""));
  for (const { input, targets } of composed.splits.test) {
    const [, row = ""] = /country (\d+)$/.exec(input) ?? [];
    expect(known).toContain(`country ${row}`);
    expect(input).toBe(`Name the capital.\nName the money.\ncountry ${row}`);
    expect(targets).toEqual([`city ${row}, coin ${row}`, `town ${row}, coin ${row}`]);
  }
});

test("too few shared inputs, and a generated task that takes no others, are refused", () => {
  expect(() => jointComposition("both", [capital, money], { validation: 9, test: 5 })).toThrow(/11 inputs .* found 10/);
  const rows = { seed: 1, train: 4, validation: 2, test: 2 };
  expect(() => generatedComposition("numbers/double", rows)).toThrow(/composed of two/);
  expect(generatedComposition("numbers/double-then-add-three", rows).parts.map(({ name }) => name)).toEqual([
    "numbers/double",
    "numbers/add-three",
  ]);
});

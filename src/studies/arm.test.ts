import { afterAll, beforeAll, expect, test } from "vitest";
import type { Device } from "../runtime/device.js";
import { openDevice } from "../runtime/node/open-device.js";
import { type Arm, trainArm } from "./arm.js";
import { type ClassificationSet, generateClassificationSet } from "./classification-set.js";
import { openTinyBase, type TinyBase } from "./node/tiny-base.test.helpers.js";

let device: Device;
let tiny: TinyBase;
let set: ClassificationSet;

beforeAll(async () => {
  device = await openDevice({ threads: 1 });
  tiny = await openTinyBase();
  set = generateClassificationSet("numbers/even-or-odd", {
    tokenizer: tiny.tokenizer,
    limits: { validation: 12, test: 5 },
  });
});
afterAll(async () => {
  await tiny[Symbol.asyncDispose]();
  await device.close();
});

const armOf = (changes: Partial<Arm>): Arm => ({
  weights: "base",
  trained: "full",
  loss: "tokens",
  learningRate: 0.02,
  steps: 24,
  seed: 1,
  ...changes,
});

function trained(arm: Arm, scoredSteps: readonly number[] = [8, 24]) {
  const examples = set.train.examples.slice(0, 60);
  return trainArm({ device, base: tiny.base, arm, examples, scored: set.validation.examples, scoredSteps });
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

test.each<Partial<Arm>>([
  {},
  { weights: "random", seed: 2 },
  { trained: "lora", learningRate: 0.01 },
  { trained: "bottleneck", learningRate: 0.01 },
  { weights: "random", trained: "lora", learningRate: 0.01 },
])("%o learns to say the labels, and every row is predicted after each scored step", async (changes) => {
  const { losses, predictions, tensors } = await trained(armOf(changes));
  expect(losses).toHaveLength(24);
  expect(mean(losses.slice(-6))).toBeLessThan(mean(losses.slice(0, 6)));
  expect(Object.keys(predictions)).toEqual(["8", "24"]);
  for (const choices of Object.values(predictions)) {
    expect(choices).toHaveLength(12);
    for (const choice of choices) {
      expect(choice).toBeGreaterThanOrEqual(0);
      expect(choice).toBeLessThan(set.choices.length);
    }
  }
  const names = [...tensors.keys()];
  expect(names.includes("shared.weight")).toBe((changes.trained ?? "full") === "full");
  expect(names.length).toBeGreaterThan(0);
});

test("the loss over choices starts at that of guessing", async () => {
  const both = await trained(armOf({ loss: "tokens and choices", learningRate: 1e-6 }), [24]);
  const tokens = await trained(armOf({ loss: "tokens", learningRate: 1e-6 }), [24]);
  const choices = mean(both.losses) - mean(tokens.losses);
  expect(Math.abs(choices - Math.log(set.choices.length))).toBeLessThan(0.25);
});

test("an arm is a function of its seed", async () => {
  const first = await trained(armOf({ weights: "random" }), [24]);
  expect(await trained(armOf({ weights: "random" }), [24])).toEqual(first);
  expect((await trained(armOf({ weights: "random", seed: 9 }), [24])).losses).not.toEqual(first.losses);
});

test("a generated set has the asked rows, none of them in two splits, and answers among its choices", () => {
  expect([set.validation, set.test].map(({ examples }) => examples.length)).toEqual([12, 5]);
  const texts = [set.train, set.validation, set.test].flatMap((rows) => rows.texts);
  expect(new Set(texts).size).toBe(texts.length);
  for (const { labels, examples } of [set.train, set.validation, set.test]) {
    expect(labels).toHaveLength(examples.length);
    for (const [row, { targets, correct }] of examples.entries()) {
      expect(targets).toHaveLength(set.choices.length);
      expect(set.choices[correct]).toBe(labels[row]);
    }
  }
});

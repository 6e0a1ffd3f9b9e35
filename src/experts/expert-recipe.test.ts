import { expect, test } from "vitest";
import type { EncodedExample } from "../mixtures/encoded-example.js";
import { shuffledStream } from "../mixtures/example-stream.js";
import { createPacker } from "../mixtures/pack.js";
import { parseT5Config } from "../models/t5/config.js";
import { createT5 } from "../models/t5/t5.js";
import { expertBatchShape, expertSteps } from "./expert-batch.js";
import {
  deltaConfigOf,
  deltaOf,
  expertOverridesSchema,
  expertRecipeSchema,
  expertRecipes,
  withOverrides,
} from "./expert-recipe.js";

const { hookPoints } = createT5(
  parseT5Config({ vocab_size: 64, d_model: 96, d_kv: 8, d_ff: 32, num_layers: 2, num_heads: 2 }),
);

function merged(name: "elm" | "mini", overrides: unknown) {
  return expertRecipeSchema.parse(withOverrides(name, expertOverridesSchema.parse(overrides)));
}

function examplesOf(count: number, length: (index: number) => number, choices = 2): EncodedExample[] {
  return Array.from({ length: count }, (_, index) => ({
    input: new Int32Array(length(index)).fill(3),
    targets: Array.from({ length: choices }, () => Int32Array.of(4, 1)),
    correct: 0,
  }));
}

test("ELM's recipe is that of the paper's code: width d/32 after self-attention and feed-forward, norms trained", () => {
  const elm = merged("elm", {});
  expect(elm).toMatchObject({
    learningRate: 1e-4,
    optimizer: "adamw",
    schedule: "linear",
    warmupSteps: 0,
    epochs: 5,
    batch: { rows: 8, inputLength: 256, targetLength: 128 },
    maxRows: 50_000,
  });
  expect(deltaConfigOf(elm, hookPoints)).toEqual({ kind: "bottleneck", config: { width: 3 } });
  const names = deltaOf(elm, hookPoints)?.parameters.map(({ name }) => name) ?? [];
  expect(names.filter((name) => name.endsWith("down.weight"))).toHaveLength(2 * 2 + 2 * 2);
  expect(names.filter((name) => name.endsWith("layer_norm.weight"))).toHaveLength(2 * 2 + 1 + 2 * 3 + 1);
});

test("overrides replace single fields; steps take the place of epochs, a delta comes whole", () => {
  const elm = merged("elm", { steps: 7, batch: { rows: 2 }, losses: { choices: 1 }, delta: { kind: "full" } });
  expect(elm).toMatchObject({ steps: 7, delta: { kind: "full" }, losses: { tokens: 1, choices: 1 } });
  expect(elm.epochs).toBeUndefined();
  expect(elm.batch).toEqual({ ...expertRecipes.elm.batch, rows: 2 });
  expect(deltaOf(elm, hookPoints)).toBeUndefined();
  expect(merged("mini", { epochs: 2 })).toMatchObject({ epochs: 2 });
  expect(merged("mini", { epochs: 2 }).steps).toBeUndefined();
});

test.each([
  [{ steps: 5, epochs: 2 }, "either steps or epochs"],
  [{ steps: 5, warmupSteps: 6 }, "at most as many as steps"],
  [{ losses: { tokens: 0, choices: 0 } }, "a weight above 0"],
])("%j does not make a recipe", (overrides, message) => {
  expect(() => merged("mini", overrides)).toThrow(message);
});

test.each([true, false])(
  "a step sees about the recipe's rows (packed: %s), and an epoch's steps see every row",
  (pack) => {
    const { batch } = merged("mini", { batch: { rows: 12, pack } });
    const examples = examplesOf(100, (index) => 5 + (index % 30));
    const shape = expertBatchShape(batch, examples);
    const newStream = () => shuffledStream(examples, 1);
    const steps = expertSteps({ epochs: 2, batch }, { rows: 100, newStream, shape, padId: 0 });
    const packer = createPacker({ stream: newStream(), shape, pack, padId: 0 });
    for (let step = 1; step < steps; step++) packer.next();
    expect(packer.counts().examples).toBeLessThan(200);
    packer.next();
    expect(packer.counts().examples).toBeGreaterThanOrEqual(200);
    expect(packer.counts().truncatedExamples).toBe(0);
    expect(200 / steps).toBeGreaterThan(9);
    expect(200 / steps).toBeLessThan(15);
  },
);

test("a long example has room, and few rows make a small batch", () => {
  const { batch } = merged("mini", { batch: { rows: 2 } });
  const shape = expertBatchShape(
    batch,
    examplesOf(3, (index) => (index === 0 ? 500 : 4), 9),
  );
  expect(shape.rows).toBeLessThanOrEqual(2);
  expect(shape.inputLength).toBe(512);
  expect(shape.sequences).toBeGreaterThanOrEqual(9);
});

test("takes another kind's own rate and optimizer into mini, where none is given", () => {
  const lora = { kind: "lora", config: { rank: 4, alpha: 8 } };
  expect(merged("mini", {})).toMatchObject({ delta: { kind: "full" }, optimizer: "adafactor-t5x" });
  expect(merged("mini", { delta: lora })).toMatchObject({ optimizer: "adamw", learningRate: 2e-3 });
  expect(merged("mini", { delta: lora, learningRate: 0.5 })).toMatchObject({ optimizer: "adamw", learningRate: 0.5 });
  expect(merged("elm", { delta: lora })).toMatchObject({ optimizer: "adamw", learningRate: 1e-4 });
});

import { afterAll, beforeAll, expect, test } from "vitest";
import { lora } from "../../src/experts/lora.js";
import { parseT5Config } from "../../src/models/t5/config.js";
import { createT5 } from "../../src/models/t5/t5.js";
import type { Device } from "../../src/runtime/device.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import { estimateMemory, refuseIfTooLarge } from "../../src/training/memory.js";
import { adafactor, adafactorPresets } from "../../src/training/optimizers/adafactor.js";
import { adamW } from "../../src/training/optimizers/adamw.js";
import type { StepProgramOptions } from "../../src/training/step-program.js";
import { train } from "../../src/training/train.js";
import { tinyOptions } from "./tiny-training.js";

let device: Device;
beforeAll(async () => {
  device = await openDevice({ threads: 1 });
});
afterAll(() => device.close());

const model = createT5(
  parseT5Config({
    d_model: 128,
    d_kv: 32,
    num_heads: 4,
    d_ff: 256,
    num_layers: 4,
    num_decoder_layers: 4,
    feed_forward_proj: "gated-gelu",
    vocab_size: 4000,
    tie_word_embeddings: false,
  }),
);
const options: StepProgramOptions = {
  model,
  frozen: { kind: "slots" },
  shape: { rows: 8, inputLength: 256, targetLength: 64, sequences: 8 },
  accumulate: 1,
  stepsPerRun: 1,
  optimizer: adafactor(adafactorPresets.t5x),
  clipNorm: undefined,
  dropout: { rate: 0.1 },
  decayed: () => false,
  losses: { tokens: true, choices: false },
};
const predicted = (change: Partial<StepProgramOptions> = {}) => estimateMemory({ ...options, ...change });

test("the parts make up the whole, and weights and optimizer state are what they are", () => {
  const parameters = model.parameters.reduce(
    (sum, { shape }) => sum + shape.reduce((count, size) => count * size, 1),
    0,
  );
  const { totalBytes, parts } = predicted({ optimizer: adamW() });
  expect(parts.weights).toBe(4 * parameters);
  expect(parts.optimizerState).toBe(8 * parameters);
  expect(Object.values(parts).reduce((sum, bytes) => sum + bytes, 0)).toBe(totalBytes);
});

test("what needs less is predicted to need less", () => {
  const { totalBytes, parts } = predicted();
  const shape = { ...options.shape, rows: 4 };
  expect(predicted({ recompute: true }).parts.step).toBeLessThan(0.5 * parts.step);
  expect(predicted({ shape }).parts.step).toBeLessThan(0.7 * parts.step);
  expect(predicted({ shape, accumulate: 2 }).totalBytes).toBeLessThan(totalBytes);
  expect(predicted({ stepsPerRun: 4 }).totalBytes).toBeGreaterThan(totalBytes);
  const delta = lora({ rank: 4, alpha: 4 }, model.hookPoints);
  expect(predicted({ delta, optimizer: adamW() }).totalBytes).toBeLessThan(
    predicted({ optimizer: adamW() }).totalBytes,
  );
});

test("a training that cannot fit is refused with what would need less", () => {
  const { totalBytes } = predicted({ stepsPerRun: 4 });
  expect(() => refuseIfTooLarge({ ...options, stepsPerRun: 4 }, { availableBytes: totalBytes })).not.toThrow();
  let refusal: unknown;
  try {
    refuseIfTooLarge({ ...options, stepsPerRun: 4 }, { availableBytes: totalBytes - 1 });
  } catch (error) {
    refusal = error;
  }
  expect(refusal).toMatchObject({
    code: "out-of-memory",
    details: { predictedBytes: totalBytes, availableBytes: totalBytes - 1 },
  });
  for (const text of ["4 rows instead of 8, with accumulate 2", "recompute: true", "one step a run", "LoRA"]) {
    expect(String(refusal)).toContain(text);
  }
});

test("it does not propose what has been done already", () => {
  const delta = lora({ rank: 4, alpha: 4 }, model.hookPoints);
  const done = { ...options, delta, recompute: true, shape: { ...options.shape, rows: 1 } };
  expect(() => refuseIfTooLarge(done, { availableBytes: 1 })).toThrow(/Smaller: a smaller base$/);
});

test("train refuses before anything is compiled, and only where it is told what is available", async () => {
  let compiled = 0;
  const counting: Device = {
    ...device,
    compile: (bytes, compileOptions) => {
      compiled++;
      return device.compile(bytes, compileOptions);
    },
  };
  const tiny = tinyOptions(counting, { steps: 1 });
  await expect(train({ ...tiny, memory: { availableBytes: 1e6 } })).rejects.toMatchObject({ code: "out-of-memory" });
  expect(compiled).toBe(0);
  await expect(train({ ...tiny, memory: { availableBytes: Number.NaN } })).rejects.toMatchObject({
    code: "invalid-argument",
  });
  expect((await train({ ...tiny, memory: { availableBytes: Number.POSITIVE_INFINITY } })).step).toBe(1);
  expect((await train(tiny)).step).toBe(1);
});

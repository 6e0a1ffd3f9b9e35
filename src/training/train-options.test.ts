import { expect, test } from "vitest";
import { generatedStream } from "../mixtures/example-stream.js";
import { parseT5Config } from "../models/t5/config.js";
import { createT5 } from "../models/t5/t5.js";
import type { Device } from "../runtime/device.js";
import { adamW } from "./optimizers/adamw.js";
import { checkTrainOptions, type TrainOptions } from "./train-options.js";

const valid: TrainOptions = {
  // Never reached: options are checked first.
  device: {} as Device,
  model: createT5(parseT5Config({})),
  stream: generatedStream(() => ({ input: Int32Array.of(1), targets: [Int32Array.of(1)], correct: 0 })),
  batch: { rows: 1, inputLength: 8, targetLength: 8, sequences: 1 },
  steps: 1,
  optimizer: adamW(),
  schedule: () => 1,
  seed: 1,
};

test.each<[string, Partial<TrainOptions>]>([
  ["batch.rows", { batch: { ...valid.batch, rows: 0 } }],
  ["batch.inputLength", { batch: { ...valid.batch, inputLength: 1.5 } }],
  ["clipNorm", { clipNorm: -1 }],
  ["dropout.rate", { dropout: { rate: 1 } }],
  ["losses", { losses: { tokens: 0, choices: 0 } }],
  ["losses", { losses: { tokens: Number.NaN, choices: 1 } }],
  ["validation.patience", { validation: { everySteps: 1, score: async () => 0, patience: 0 } }],
  ["seed", { seed: -1 }],
])("%s out of range is named", (name, part) => {
  expect(() => checkTrainOptions(valid)).not.toThrow();
  expect(() => checkTrainOptions({ ...valid, ...part })).toThrow(`train: ${name}`);
});

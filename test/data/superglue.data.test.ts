import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { superglueExamples, superglueFolder } from "../../bench/superglue.js";
import { shuffledStream } from "../../src/mixtures/example-stream.js";
import { createPacker } from "../../src/mixtures/pack.js";
import { parseT5Config } from "../../src/models/t5/config.js";
import { createT5 } from "../../src/models/t5/t5.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import { adafactor, adafactorPresets } from "../../src/training/optimizers/adafactor.js";
import { createSchedule } from "../../src/training/schedules.js";
import { train } from "../../src/training/train.js";

const absent = !existsSync(superglueFolder);
const shape = { rows: 8, inputLength: 512, targetLength: 128, sequences: 32 };
const config = parseT5Config({
  d_model: 32,
  d_kv: 16,
  num_heads: 2,
  d_ff: 64,
  num_layers: 1,
  feed_forward_proj: "gated-gelu",
  vocab_size: 2048,
  tie_word_embeddings: false,
});

test.skipIf(absent)(`packs of ragged rows are at least 85 % full (needs ${superglueFolder})`, () => {
  const packer = createPacker({ stream: shuffledStream(superglueExamples(2048), 1), shape, padId: 0 });
  let tokens = 0;
  const batches = 100;
  for (let batch = 0; batch < batches; batch++) {
    tokens += packer.next().inputTokens;
  }
  expect(tokens / (batches * shape.rows * shape.inputLength)).toBeGreaterThan(0.85);
});

test.skipIf(absent)("a small T5 learns from them with the one program of a fixed shape", async () => {
  await using device = await openDevice();
  const losses: number[] = [];
  await train({
    device,
    model: createT5(config),
    stream: shuffledStream(superglueExamples(config.vocabularySize), 1),
    batch: shape,
    steps: 40,
    optimizer: adafactor(adafactorPresets.t5x),
    schedule: createSchedule({ kind: "constant", learningRate: 0.02, steps: 40 }),
    dropout: { rate: 0.1 },
    seed: 1,
    stepsPerRun: 1,
    onEvent: (event) => {
      if (event.type === "step-end") {
        losses.push(event.loss);
      }
    },
  });
  expect(losses).toHaveLength(40);
  expect(losses.at(-1)).toBeLessThan(0.7 * (losses[0] ?? 0));
});

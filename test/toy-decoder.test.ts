import { expect, test } from "vitest";
import { at } from "../src/core/at.js";
import { createRandom } from "../src/core/random.js";
import { bottleneck } from "../src/experts/bottleneck.js";
import { lora } from "../src/experts/lora.js";
import type { EncodedExample } from "../src/mixtures/encoded-example.js";
import { generatedStream } from "../src/mixtures/example-stream.js";
import { layOutPacks } from "../src/mixtures/pack.js";
import { initialTensors } from "../src/models/initialize.js";
import { openDevice } from "../src/runtime/node/open-device.js";
import { adafactor, adafactorPresets } from "../src/training/optimizers/adafactor.js";
import { adamW } from "../src/training/optimizers/adamw.js";
import { createSchedule } from "../src/training/schedules.js";
import { type TrainResult, train } from "../src/training/train.js";
import type { TrainOptions } from "../src/training/train-options.js";
import { evaluate } from "./parity/evaluate.js";
import { expectWithin } from "./parity/fixture.js";
import { createToyDecoder } from "./toy-decoder.js";

const device = await openDevice({ threads: 2 });
const model = createToyDecoder({ vocabularySize: 24, width: 32, heads: 4, layers: 2, positions: 24 });
const batch = { rows: 8, inputLength: 24, targetLength: 16, sequences: 8 };

/** Copies its input: 2 to 6 tokens and the end. */
function copyExample(index: number): EncodedExample {
  const random = createRandom(1, index);
  const length = 2 + random.nextInteger(5);
  const input = Int32Array.from({ length: length + 1 }, (_, at) => (at === length ? 1 : 3 + random.nextInteger(21)));
  return { input, targets: [input], correct: 0 };
}

/** Says whether the first token is below the second one: choices. */
function compareExample(index: number): EncodedExample {
  const random = createRandom(2, index);
  const [first, second] = [3 + random.nextInteger(21), 3 + random.nextInteger(21)];
  const targets = [Int32Array.of(5, 1), Int32Array.of(6, 7, 1)];
  return { input: Int32Array.of(first, second, 1), targets, correct: first < second ? 0 : 1 };
}

async function losses(options: Partial<TrainOptions> & { readonly steps: number }) {
  const found: number[] = [];
  const result: TrainResult = await train({
    device,
    model,
    batch,
    stream: generatedStream(copyExample),
    optimizer: adamW(),
    schedule: createSchedule({ kind: "linear", learningRate: 5e-3, warmupSteps: 10, steps: options.steps }),
    clipNorm: 1,
    seed: 3,
    onEvent: (event) => {
      if (event.type === "step-end") {
        found.push(event.loss);
      }
    },
    ...options,
  });
  const mean = (part: readonly number[]): number => part.reduce((sum, loss) => sum + loss, 0) / part.length;
  return { first: mean(found.slice(0, 3)), last: mean(found.slice(-5)), all: found, result };
}

test("a decoder-only model learns to copy with the training loop as it is", async () => {
  const { first, last } = await losses({ steps: 150, dropout: { rate: 0.02 } });
  expect(first).toBeGreaterThan(2.5);
  expect(last).toBeLessThan(first / 2);
});

test("it learns from choices, with accumulation and Adafactor", async () => {
  const { first, last } = await losses({
    steps: 60,
    stepsPerRun: 4,
    stream: generatedStream(compareExample),
    batch: { ...batch, rows: 4, accumulate: 2 },
    optimizer: adafactor(adafactorPresets.t5x),
    schedule: createSchedule({ kind: "constant", learningRate: 3e-2, steps: 60 }),
    losses: { tokens: 0, choices: 1 },
  });
  expect(first).toBeGreaterThan(0.5);
  expect(last).toBeLessThan(first / 2);
});

test.each([
  { kind: "lora", delta: lora({ rank: 8, alpha: 16, targets: ["q", "k", "v", "o", "wi", "wo"] }, model.hookPoints) },
  { kind: "bottleneck", delta: bottleneck({ width: 8 }, model.hookPoints) },
])("deltas reach into it through the same hooks: $kind", async ({ delta }) => {
  const weights = initialTensors(model.parameters, 9);
  const { first, last, result } = await losses({ steps: 60, delta, weights });
  expect(last).toBeLessThan(0.85 * first);
  expect([...result.tensors.keys()].sort()).toEqual(delta.parameters.map(({ name }) => name).sort());
});

test("its packed examples equal examples in packs of their own", async () => {
  const tensors = initialTensors(model.parameters, 9);
  const examples = [copyExample(1), compareExample(1), copyExample(2)];
  const shape = { rows: 3, inputLength: 24, targetLength: 24, sequences: 6 };
  const packed = await evaluate({ device, model, batch: layOutPacks([examples], shape, model.padId), tensors });
  const alone = await evaluate({
    device,
    model,
    batch: layOutPacks(
      examples.map((example) => [example]),
      shape,
      model.padId,
    ),
    tensors,
  });
  let start = 0;
  examples.forEach(({ targets }, row) => {
    const length = targets.reduce((sum, target) => sum + target.length, 0);
    const expected = alone.logProbabilities.subarray(row * shape.targetLength, row * shape.targetLength + length);
    expectWithin("log-probabilities", packed.logProbabilities.subarray(start, start + length), expected, 1e-5);
    expect(at(expected, 0)).toBeLessThan(0);
    start += length;
  });
});

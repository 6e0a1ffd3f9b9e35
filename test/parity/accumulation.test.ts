import { expect, test } from "vitest";
import { at } from "../../src/core/at.js";
import { createRandom } from "../../src/core/random.js";
import { type EncodedExample, IGNORED } from "../../src/mixtures/encoded-example.js";
import { generatedStream } from "../../src/mixtures/example-stream.js";
import { layOutPacks } from "../../src/mixtures/pack.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import type { Checkpoint } from "../../src/training/checkpoint-store.js";
import type { StepEndEvent } from "../../src/training/events.js";
import { adafactor, adafactorPresets } from "../../src/training/optimizers/adafactor.js";
import { adamW } from "../../src/training/optimizers/adamw.js";
import { createSchedule } from "../../src/training/schedules.js";
import { train } from "../../src/training/train.js";
import type { TrainOptions } from "../../src/training/train-options.js";
import { evaluate } from "./evaluate.js";
import { bytesOf, expectWithin, expectWithinRelative, floatsOf, readModel } from "./fixture.js";

const device = await openDevice({ threads: 2 });
const { model, weights } = await readModel("v1_1");
const shape = { rows: 4, inputLength: 20, targetLength: 14, sequences: 4 };

/** Ragged examples: one target of 1 to 9 tokens, now and then with ignored ones, or choices. */
function example(index: number): EncodedExample {
  const random = createRandom(77, index);
  const draw = (length: number): Int32Array =>
    Int32Array.from({ length }, (_, position) => (position === length - 1 ? 1 : 2 + random.nextInteger(60)));
  const input = draw(1 + random.nextInteger(shape.inputLength));
  if (index % 3 === 2) {
    return {
      input,
      targets: [draw(1 + random.nextInteger(4)), draw(1 + random.nextInteger(4)), draw(2)],
      correct: index % 2,
    };
  }
  const target = draw(1 + random.nextInteger(9));
  return { input, targets: [target.map((id, position) => (position % 4 === 2 ? IGNORED : id))], correct: 0 };
}

interface Run {
  readonly steps: readonly StepEndEvent[];
  /** Parameters and optimizer state at the end. */
  readonly tensors: Checkpoint["tensors"];
}

/** Trains with a store in memory, which sees the optimizer's state too. */
async function run(
  options: Pick<TrainOptions, "steps" | "batch" | "stepsPerRun"> & Partial<TrainOptions>,
): Promise<Run> {
  const steps: StepEndEvent[] = [];
  let saved: Checkpoint | undefined;
  await train({
    device,
    model,
    weights,
    stream: generatedStream(example),
    optimizer: adamW({ weightDecay: 0.1 }),
    schedule: createSchedule({ kind: "linear", learningRate: 1e-3, warmupSteps: 2, steps: options.steps + 1 }),
    losses: { tokens: 1, choices: 0.5 },
    clipNorm: 1,
    seed: 5,
    checkpoints: {
      everySteps: options.steps,
      store: {
        save: async (checkpoint) => {
          saved = checkpoint;
          return "memory";
        },
        latest: async () => undefined,
      },
    },
    onEvent: (event) => {
      if (event.type === "step-end") {
        steps.push(event);
      }
    },
    ...options,
  });
  if (saved === undefined) {
    throw new Error("expected a checkpoint at the last step");
  }
  return { steps, tensors: saved.tensors };
}

test("two batches of 2 added up are one batch of 4, whatever their lengths", async () => {
  const steps = 4;
  const unpacked = { ...shape, pack: false };
  const whole = await run({ steps, stepsPerRun: 1, batch: unpacked });
  const halves = await run({ steps, stepsPerRun: 1, batch: { ...unpacked, rows: 2, accumulate: 2 } });
  const quarters = await run({ steps, stepsPerRun: 2, batch: { ...unpacked, rows: 1, accumulate: 4 } });
  for (const other of [halves, quarters]) {
    for (const part of ["tokenLoss", "choiceLoss", "inputTokens", "targetTokens"] as const) {
      expectWithin(
        part,
        other.steps.map((step) => step[part]),
        whole.steps.map((step) => step[part]),
        1e-5,
      );
    }
    expectWithinRelative(
      "gradientNorm",
      other.steps.map((step) => step.gradientNorm),
      whole.steps.map((step) => step.gradientNorm),
      1e-5,
    );
    for (const name of whole.tensors.keys()) {
      expectWithin(name, floatsOf(other.tensors, name), floatsOf(whole.tensors, name), 1e-5);
    }
  }
  // Halves do have unlike token counts: a mean of means would differ.
  const counts = [0, 1].map((half) =>
    [0, 1].reduce((sum, row) => sum + at(example(2 * half + row).targets, 0).filter((id) => id !== IGNORED).length, 0),
  );
  expect(counts[0]).not.toBe(counts[1]);
});

test("the token loss is the mean over the tokens that count", async () => {
  const examples = Array.from({ length: 4 }, (_, index) => example(index));
  const batch = layOutPacks(
    examples.map((one) => [one]),
    shape,
    model.padId,
  );
  const { logProbabilities, tokenLoss } = await evaluate({ device, model, batch, tensors: weights });
  let sum = 0;
  let count = 0;
  examples.forEach(({ targets, correct }, row) => {
    let position = row * shape.targetLength;
    targets.forEach((target, choice) => {
      for (const id of target) {
        if (choice === correct && id !== IGNORED) {
          sum -= at(logProbabilities, position);
          count++;
        }
        position++;
      }
    });
  });
  expect(batch.targetTokens).toBe(count);
  expect(tokenLoss).toBeCloseTo(sum / count, 6);
});

test("an example of which every target position is ignored changes neither loss nor gradients", async () => {
  const kept = [[example(0)], [example(1)]];
  const ignored: EncodedExample = {
    input: Int32Array.of(5, 6, 1),
    targets: [Int32Array.of(IGNORED, IGNORED)],
    correct: 0,
  };
  const evaluateRows = (packs: readonly (readonly EncodedExample[])[]) =>
    evaluate({
      device,
      model,
      batch: layOutPacks(packs, shape, model.padId),
      tensors: weights,
      differentiate: "tokens",
    });
  const without = await evaluateRows(kept);
  const withIgnored = await evaluateRows([...kept, [ignored]]);
  expect(withIgnored.tokenLoss).toBe(without.tokenLoss);
  for (const [name] of without.gradients) {
    expectWithinRelative(name, floatsOf(withIgnored.gradients, name), floatsOf(without.gradients, name), 1e-5);
  }
});

test.each([
  { what: "AdamW, rows in turn", optimizer: adamW({ weightDecay: 0.1 }), accumulate: 1 },
  { what: "AdamW, accumulating", optimizer: adamW({ weightDecay: 0.1 }), accumulate: 2 },
  { what: "Adafactor of transformers", optimizer: adafactor(adafactorPresets.transformers), accumulate: 1 },
  { what: "Adafactor of T5X, accumulating", optimizer: adafactor(adafactorPresets.t5x), accumulate: 2 },
])("4 steps in one run equal 4 runs bit for bit, with dropout: $what", async ({ optimizer, accumulate }) => {
  const options = { steps: 8, optimizer, batch: { ...shape, accumulate }, dropout: { rate: 0.1 } };
  const single = await run({ ...options, stepsPerRun: 1 });
  const four = await run({ ...options, stepsPerRun: 4 });
  const measured = ({ steps }: Run) => steps.map(({ seconds, ...rest }) => ({ ...rest, took: seconds > 0 }));
  expect(single.steps).toHaveLength(8);
  expect(measured(four)).toEqual(measured(single));
  expect([...four.tensors.keys()]).toEqual([...single.tensors.keys()]);
  const different = [...single.tensors].filter(([name, tensor]) => {
    const other = four.tensors.get(name);
    return other === undefined || !bytesOf(other).equals(bytesOf(tensor));
  });
  expect(different.map(([name]) => name)).toEqual([]);
});

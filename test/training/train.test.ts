import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { lora } from "../../src/experts/lora.js";
import { shuffledStream } from "../../src/mixtures/example-stream.js";
import { initialTensors } from "../../src/models/initialize.js";
import type { Device, State } from "../../src/runtime/device.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import { tensor } from "../../src/tensors/tensor.js";
import type { Checkpoint, CheckpointStore } from "../../src/training/checkpoint-store.js";
import type { TrainingEvent } from "../../src/training/events.js";
import { checkpointFolder } from "../../src/training/node/checkpoint-folder.js";
import { adamW } from "../../src/training/optimizers/adamw.js";
import { createSchedule } from "../../src/training/schedules.js";
import { train } from "../../src/training/train.js";
import type { TrainOptions } from "../../src/training/train-options.js";
import { bitsOf, tinyExamples, tinyModel, tinyOptions, tinyStream } from "./tiny-training.js";

let device: Device;
let folder = "";
beforeAll(async () => {
  device = await openDevice({ threads: 2 });
});
afterAll(() => device.close());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-train-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const constant = createSchedule({ kind: "constant", learningRate: 0.01, steps: 1 });

/** Trains with the tiny options and returns what happened as well. */
async function run(options: Partial<TrainOptions>) {
  const events: TrainingEvent[] = [];
  const onEvent = (event: TrainingEvent): void => {
    events.push(event);
    options.onEvent?.(event);
  };
  const outcome = await train(tinyOptions(device, { ...options, onEvent })).then(
    (result) => ({ result, error: undefined }),
    (error: unknown) => ({ result: undefined, error }),
  );
  const losses = events.flatMap((event) =>
    event.type === "step-end" ? [[event.step, event.loss, event.gradientNorm]] : [],
  );
  return { ...outcome, events, losses, bits: bitsOf(outcome.result?.tensors ?? new Map()) };
}

const names = (events: readonly TrainingEvent[]): string[] => events.map(({ type, step }) => `${type} ${step}`);

test("events come in order and say what they promise", async () => {
  const scores = [1, 3, 2];
  const { events, error } = await run({
    steps: 5,
    stepsPerRun: 2,
    checkpoints: { store: checkpointFolder(folder), everySteps: 4 },
    validation: { everySteps: 2, score: async () => scores.shift() ?? 0 },
  });
  expect(error).toBeUndefined();
  expect(names(events)).toEqual([
    "training-start 0",
    "step-end 1",
    "step-end 2",
    "validation-end 2",
    "checkpoint-saved 2",
    "step-end 3",
    "step-end 4",
    "validation-end 4",
    "checkpoint-saved 4",
    "step-end 5",
    "validation-end 5",
    "checkpoint-saved 5",
    "training-end 5",
  ]);
  expect(events.flatMap((event) => (event.type === "validation-end" ? [event.best] : []))).toEqual([true, true, false]);
  const [start, first] = events;
  expect(start).toMatchObject({ steps: 5, parameters: 7312, trainedParameters: 7312, damagedCheckpoints: [] });
  expect(first).toMatchObject({ learningRate: 0, choiceLoss: 0 });
  for (const event of events) {
    if (event.type === "step-end") {
      expect(event.loss).toBe(event.tokenLoss + event.choiceLoss);
      expect(event.gradientNorm).toBeGreaterThan(0);
      expect(event.inputTokens).toBeGreaterThan(0);
      expect(event.inputTokens).toBeLessThanOrEqual(96);
      expect(event.targetTokens).toBeGreaterThan(0);
      expect(event.seconds).toBeGreaterThan(0);
    }
  }
  expect(events.at(-1)).toMatchObject({ reason: "finished", truncatedExamples: 0 });
});

test("the loss falls, and one step a run, four, or as many as fit are equal bit for bit, also with accumulation", async () => {
  for (const accumulate of [1, 2]) {
    const batch = { rows: 4, inputLength: 24, targetLength: 12, sequences: 6, accumulate };
    const one = await run({ steps: 30, batch });
    expect(one.losses.at(-1)?.[1]).toBeLessThan(0.9 * Number(one.losses[0]?.[1]));
    for (const stepsPerRun of [4, "auto"] as const) {
      const other = await run({ steps: 30, batch, stepsPerRun });
      expect(other.losses).toEqual(one.losses);
      expect(other.bits).toEqual(one.bits);
    }
  }
});

test("one and two threads are equal bit for bit", async () => {
  const two = await run({ steps: 10 });
  await using single = await openDevice({ threads: 1 });
  const one = await run({ steps: 10, device: single });
  expect(one.losses).toEqual(two.losses);
  expect(one.bits).toEqual(two.bits);
});

test("auto puts several steps of a tiny model into a run and ends runs where something is due", async () => {
  const sizes: number[] = [];
  const counting: Device = {
    ...device,
    compile: async (bytes, options) => {
      const program = await device.compile(bytes, options);
      return {
        ...program,
        run: (feeds, runOptions) => {
          sizes.push(feeds.learningRate?.shape[0] ?? 1);
          return program.run(feeds, runOptions);
        },
      };
    },
  };
  const seen: [number, number][] = [];
  let steps = 0;
  const { error } = await run({
    device: counting,
    steps: 40,
    stepsPerRun: "auto",
    checkpoints: { store: checkpointFolder(folder), everySteps: 15 },
    validation: {
      everySteps: 10,
      score: async () => {
        seen.push([steps, sizes.reduce((sum, size) => sum + size, 0)]);
        return 0;
      },
    },
    onEvent: (event) => {
      steps = event.type === "step-end" ? event.step : steps;
    },
  });
  expect(error).toBeUndefined();
  expect(seen).toEqual([10, 20, 30, 40].map((step) => [step, step]));
  expect(Math.max(...sizes)).toBeGreaterThan(1);
  expect(sizes.length).toBeLessThan(30);
});

test("an abort takes effect within one run, saves, and goes on exactly", async () => {
  const whole = await run({ steps: 20, stepsPerRun: 4 });
  const store = checkpointFolder(folder);
  const checkpoints = { store, everySteps: 100 };
  const controller = new AbortController();
  const first = await run({
    steps: 20,
    stepsPerRun: 4,
    checkpoints,
    signal: controller.signal,
    onEvent: (event) => {
      if (event.type === "step-end" && event.step === 6) {
        controller.abort();
      }
    },
  });
  expect(first.error).toMatchObject({ code: "aborted" });
  expect(names(first.events).slice(-2)).toEqual(["checkpoint-saved 8", "training-end 8"]);
  expect(first.events.at(-1)).toMatchObject({ reason: "aborted" });
  const second = await run({ steps: 20, stepsPerRun: 1, checkpoints });
  expect([...first.losses, ...second.losses]).toEqual(whole.losses);
  expect(second.bits).toEqual(whole.bits);
  const before = await run({ signal: AbortSignal.abort() });
  expect(before.error).toMatchObject({ code: "aborted" });
  expect(before.events).toEqual([]);
});

test("numbers that are not finite stop with step and tensor, and nothing bad is saved", async () => {
  const model = tinyModel();
  const weights = new Map(initialTensors(model.parameters, 1));
  const name = "decoder.block.0.layer.2.DenseReluDense.wo.weight";
  weights.get(name)?.data.fill(Number.POSITIVE_INFINITY, 0, 1);
  const infinite = await run({ weights });
  expect(infinite.error).toMatchObject({ code: "non-finite", details: { step: 1, tensor: "tokenLoss" } });
  expect(infinite.error).toMatchObject({ message: expect.stringMatching(/step 1: .*first bad gradient: \S+/) });
  expect(names(infinite.events)).toEqual(["training-start 0", "training-end 0"]);
  expect(infinite.events.at(-1)).toMatchObject({ reason: "failed" });

  // Step 3 blows the parameters up, step 4 notices; with four steps a run the state stays as before step 1.
  const schedule = (step: number): number => (step < 2 ? 0.01 : 1e30);
  const store = checkpointFolder(folder);
  const blown = await run({ schedule, stepsPerRun: 2, checkpoints: { store, everySteps: 2 } });
  expect(blown.error).toMatchObject({ code: "non-finite", details: { step: 4 } });
  expect(names(blown.events)).toEqual([
    "training-start 0",
    "step-end 1",
    "step-end 2",
    "checkpoint-saved 2",
    "training-end 2",
  ]);
  const saved = await store.latest();
  expect(saved?.checkpoint.step).toBe(2);
  for (const { data } of saved?.checkpoint.tensors.values() ?? []) {
    expect(data.every(Number.isFinite)).toBe(true);
  }

  // The last step's damage shows in no loss.
  const last = await run({
    steps: 2,
    schedule: (step) => (step === 1 ? 3e38 : 0.01),
    optimizer: adamW(),
    clipNorm: 1e30,
  });
  expect(last.error).toMatchObject({ code: "non-finite", details: { step: 2 } });
});

test("the best by validation is kept and returned, also after the training goes on", async () => {
  const embedding: number[] = [];
  // The state's own number, so that the score at a step is always the same.
  const score = async (state: State): Promise<number> => {
    const value = Number((await state.read(["shared.weight"])).get("shared.weight")?.data[5]);
    embedding.push(value);
    return -Math.abs(embedding.length === 3 ? 0 : 1);
  };
  const checkpoints = { store: checkpointFolder(folder), everySteps: 3 };
  const first = await run({ steps: 20, schedule: constant, checkpoints, validation: { everySteps: 2, score } });
  expect(first.result?.tensors.get("shared.weight")?.data[5]).toBe(embedding[2]);
  expect(first.result?.step).toBe(20);
  const later = await run({
    steps: 26,
    schedule: constant,
    checkpoints,
    validation: { everySteps: 2, score: async () => Number.NaN },
  });
  expect(later.bits).toEqual(first.bits);
  expect(later.result?.step).toBe(26);
  // Without a validation, the last.
  const without = await run({ steps: 26, schedule: constant, checkpoints });
  expect(without.bits).not.toEqual(first.bits);
});

test("a training that is done returns at once", async () => {
  const checkpoints = { store: checkpointFolder(folder), everySteps: 100 };
  const first = await run({ checkpoints });
  const idle: Device = { ...device, compile: () => expect.unreachable(), createState: () => expect.unreachable() };
  const again = await run({ checkpoints, device: idle });
  expect(again.error).toBeUndefined();
  expect(again.bits).toEqual(first.bits);
  expect(Object.keys(again.bits)).toHaveLength(tinyModel().parameters.length);
  expect(names(again.events)).toEqual(["training-start 12", "training-end 12"]);
});

test("a checkpoint of another training is refused with what differs", async () => {
  const checkpoints = { store: checkpointFolder(folder), everySteps: 100, fingerprint: { "the data": "a" } };
  const first = await run({ steps: 2, schedule: constant, checkpoints });
  expect(first.error).toBeUndefined();
  const weights = initialTensors(tinyModel().parameters, 9);
  const differences: [Partial<TrainOptions>, RegExp][] = [
    [{ seed: 4 }, /differs in the seed\./],
    [{ schedule: () => 0.02 }, /differs in the learning-rate schedule\./],
    [{ optimizer: adamW({ beta2: 0.99, weightDecay: 0.01 }) }, /differs in the program \(model, delta/],
    [{ dropout: { rate: 0.2 } }, /differs in the program/],
    [{ decayExcluded: () => true }, /differs in the program/],
    [{ weights }, /differs in the weights it started from\./],
    [{ losses: { tokens: 2, choices: 0 } }, /differs in the weights of the losses\./],
    [{ checkpoints: { ...checkpoints, fingerprint: { "the data": "b" } } }, /differs in the data\./],
  ];
  for (const [options, message] of differences) {
    const { error } = await run({ steps: 4, schedule: constant, checkpoints, ...options });
    expect(error).toMatchObject({ code: "mismatch", message: expect.stringMatching(message) });
  }
  // Neither more steps nor another number of steps a run make another training.
  const more = await run({ steps: 4, schedule: constant, checkpoints, stepsPerRun: 2 });
  expect(names(more.events).slice(0, 2)).toEqual(["training-start 2", "step-end 3"]);
});

test("counts of what was cut go on after a resume", async () => {
  const stream = () => shuffledStream(tinyExamples({ longest: 40 }), 5);
  const options = { schedule: constant, validation: { everySteps: 100, score: async () => 0 } };
  const counts = (events: readonly TrainingEvent[]) => {
    const last = events.at(-1);
    return last?.type === "training-end" ? [last.truncatedExamples, last.inputTokensCut, last.targetTokensCut] : [];
  };
  const whole = await run({ ...options, steps: 9, stream: stream() });
  const checkpoints = { store: checkpointFolder(folder), everySteps: 100 };
  const half = await run({ ...options, steps: 4, stream: stream(), checkpoints });
  const rest = await run({ ...options, steps: 9, stream: stream(), checkpoints });
  expect(counts(whole.events)[0]).toBeGreaterThan(3);
  expect(counts(half.events)[0]).toBeLessThan(Number(counts(whole.events)[0]));
  expect(counts(rest.events)).toEqual(counts(whole.events));
  expect([...half.losses, ...rest.losses]).toEqual(whole.losses);
});

test("a handler that throws does not break the training", async () => {
  const warnings: Error[] = [];
  const listen = (warning: Error): void => void warnings.push(warning);
  process.on("warning", listen);
  const { error, events } = await run({
    steps: 3,
    onEvent: () => {
      throw new Error("full disk");
    },
  });
  await new Promise((resolve) => setImmediate(resolve));
  process.off("warning", listen);
  expect(error).toBeUndefined();
  expect(events).toHaveLength(5);
  expect(warnings.map(({ name }) => name)).toEqual(["CadreEventHandlerWarning"]);
});

test("weights that do not fit are refused by name, and numbers out of range all at once", async () => {
  const weights = new Map(initialTensors(tinyModel().parameters, 1));
  weights.set("shared.weight", tensor("float32", [2, 2], new Float32Array(4)));
  const wrong = await run({ weights });
  expect(wrong.error).toMatchObject({ code: "mismatch", message: expect.stringContaining('"shared.weight"') });
  weights.delete("shared.weight");
  const missing = await run({ weights });
  expect(missing.error).toMatchObject({
    code: "mismatch",
    message: expect.stringMatching(/"shared.weight".*found none/),
  });
  const deltaTensors = new Map([["strange", tensor("float32", [1], new Float32Array(1))]]);
  const foreign = await run({ deltaTensors });
  expect(foreign.error).toMatchObject({ code: "mismatch", message: expect.stringContaining("strange") });
  const { error } = await run({ steps: 1.5, seed: -1, stepsPerRun: 0 });
  expect(error).toMatchObject({
    code: "invalid-argument",
    message: expect.stringMatching(/steps:.*stepsPerRun:.*seed:/),
  });
});

test("a delta trains alone, and goes on from a checkpoint", async () => {
  const model = tinyModel();
  const delta = lora({ rank: 2, alpha: 4 }, model.hookPoints);
  const weights = initialTensors(model.parameters, 1);
  const whole = await run({ model, delta, weights, schedule: constant, steps: 8 });
  expect(Object.keys(whole.bits)).toEqual(delta.parameters.map(({ name }) => name).sort());
  expect(whole.events[0]).toMatchObject({ parameters: 7312, trainedParameters: 384 });
  const checkpoints = { store: checkpointFolder(folder), everySteps: 100 };
  await run({ model, delta, weights, schedule: constant, steps: 3, checkpoints });
  const rest = await run({ model, delta, weights, schedule: constant, steps: 8, checkpoints });
  expect(rest.bits).toEqual(whole.bits);
  expect(rest.losses).toEqual(whole.losses.slice(3));
});

test("a save that fails stops the training with its error", async () => {
  const store: CheckpointStore = {
    save: async (checkpoint: Checkpoint) => {
      throw new Error(`no space for step ${checkpoint.step}`);
    },
    latest: async () => undefined,
  };
  const { error, events } = await run({ checkpoints: { store, everySteps: 2 } });
  expect(error).toMatchObject({ message: "no space for step 2" });
  expect(events.at(-1)).toMatchObject({ type: "training-end", reason: "failed", step: 2 });
});

test("memory stays level over 300 steps", async () => {
  const resident: number[] = [];
  const { error } = await run({
    steps: 300,
    stream: tinyStream(),
    schedule: constant,
    validation: {
      everySteps: 10,
      score: async () => {
        resident.push((await device.memory()).residentBytes);
        return 0;
      },
    },
  });
  expect(error).toBeUndefined();
  const highest = (from: number, to: number): number => Math.max(...resident.slice(from, to));
  expect(highest(20, 30)).toBeLessThan(1.1 * highest(5, 15));
});

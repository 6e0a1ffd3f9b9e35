import { beforeAll, expect, test } from "vitest";
import type { DeviceKind } from "../../src/runtime/device.js";
import { checkFingerprint, type Fingerprint, fingerprintOf } from "../../src/training/fingerprint.js";
import { adamW } from "../../src/training/optimizers/adamw.js";
import { createSchedule, type ScheduleOptions } from "../../src/training/schedules.js";
import { buildStepProgram, type StepProgram } from "../../src/training/step-program.js";
import { tinyModel } from "./tiny-training.js";

const model = tinyModel();
let program: StepProgram;

beforeAll(() => {
  program = buildStepProgram({
    model,
    frozen: { kind: "slots" },
    shape: { rows: 2, inputLength: 8, targetLength: 8, sequences: 2 },
    accumulate: 1,
    stepsPerRun: 1,
    optimizer: adamW(),
    clipNorm: 1,
    dropout: undefined,
    decayed: () => false,
    losses: { tokens: true, choices: false },
  });
});

function fingerprint(
  schedule: Partial<ScheduleOptions>,
  more: Fingerprint = {},
  kind: DeviceKind = "cpu",
): Promise<Fingerprint> {
  return fingerprintOf({
    program,
    parameters: model.parameters,
    weights: undefined,
    deltaTensors: undefined,
    losses: { tokens: 1, choices: 0 },
    pack: true,
    schedule: createSchedule({
      kind: "warmup-stable-decay",
      learningRate: 0.01,
      warmupSteps: 10,
      decaySteps: 200,
      steps: 1000,
      ...schedule,
    }),
    seed: 1,
    device: { kind, threads: 2 },
    more,
  });
}

test("a training made longer goes on wherever its past stays the same", async () => {
  const before = await fingerprint({});
  const longer = await fingerprint({ steps: 3000 });
  for (const step of [0, 1, 10, 500, 800]) {
    expect(() => checkFingerprint(before, longer, { step }), `step ${step}`).not.toThrow();
  }
  // It had begun to fall at step 800.
  for (const step of [900, 1000]) {
    expect(() => checkFingerprint(before, longer, { step }), `step ${step}`).toThrow(
      /differs in the learning-rate schedule/,
    );
  }
});

test("another end of the training may fall earlier or later, as long as it has not begun", async () => {
  const before = await fingerprint({});
  expect(() => checkFingerprint(before, before, { step: 1_000_000_000 })).not.toThrow();
  for (const decaySteps of [0, 20, 600]) {
    const other = await fingerprint({ decaySteps });
    expect(() => checkFingerprint(before, other, { step: 400 })).not.toThrow();
    expect(() => checkFingerprint(before, other, { step: 1000 })).toThrow(/schedule/);
  }
});

test.each<[string, Partial<ScheduleOptions>]>([
  ["learning rate", { learningRate: 0.02 }],
  ["warm-up", { warmupSteps: 40 }],
  ["kind", { kind: "cosine" }],
])("a changed %s is refused once there is a past, and not before", async (_, change) => {
  const before = await fingerprint({});
  const changed = await fingerprint(change);
  expect(() => checkFingerprint(before, changed, { step: 0 })).not.toThrow();
  for (const step of [20, 700, 1000]) {
    expect(() => checkFingerprint(before, changed, { step })).toThrow(
      expect.objectContaining({ code: "mismatch", details: { step, different: ["schedule"] } }),
    );
  }
});

test("a schedule that depends on its length from the start is refused when it is made longer", async () => {
  const before = await fingerprint({ kind: "linear" });
  const longer = await fingerprint({ kind: "linear", steps: 2000 });
  expect(() => checkFingerprint(before, longer, { step: 100 })).toThrow(/schedule/);
});

test("every other fact counts at any step, also one that only one side has", async () => {
  const one = await fingerprint({}, { data: "a" });
  const same = await fingerprint({}, { data: "a" });
  expect(() => checkFingerprint(one, same, { step: 5 })).not.toThrow();
  for (const other of [await fingerprint({}, { data: "b" }), await fingerprint({})]) {
    for (const [found, expected] of [
      [one, other],
      [other, one],
    ] as const) {
      expect(() => checkFingerprint(found, expected, { step: 0 })).toThrow(/step 0 .* differs in data\. Repeat/);
    }
  }
  expect(() => checkFingerprint(one, { ...one, seed: "2", threads: "1" }, { step: 5 })).toThrow(
    /differs in the seed; the device's number of threads/,
  );
});

test("a checkpoint of another kind of device is refused, and those of the processor say no more than they always did", async () => {
  const cpu = await fingerprint({});
  expect(Object.keys(cpu).sort()).toEqual(
    ["program", "weights", "deltaTensors", "losses", "pack", "schedule", "seed", "threads"].sort(),
  );
  const webgpu = await fingerprint({}, {}, "webgpu");
  expect(() => checkFingerprint(webgpu, webgpu, { step: 5 })).not.toThrow();
  for (const [found, expected] of [
    [cpu, webgpu],
    [webgpu, cpu],
    [webgpu, await fingerprint({}, {}, "cuda")],
  ] as const) {
    expect(() => checkFingerprint(found, expected, { step: 5 })).toThrow(
      expect.objectContaining({ code: "mismatch", details: { step: 5, different: ["device"] } }),
    );
  }
});

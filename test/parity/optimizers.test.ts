import { expect, test } from "vitest";
import * as z from "zod";
import { at } from "../../src/core/at.js";
import { readJson } from "../../src/core/node/json.js";
import { Graph } from "../../src/graph/graph.js";
import { serializeGraph } from "../../src/graph/serialize.js";
import { generatedStream } from "../../src/mixtures/example-stream.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import type { Tensor } from "../../src/tensors/tensor.js";
import { type AdafactorOptions, adafactor, adafactorPresets } from "../../src/training/optimizers/adafactor.js";
import { adamW } from "../../src/training/optimizers/adamw.js";
import type { Optimizer } from "../../src/training/optimizers/optimizer.js";
import { createSchedule } from "../../src/training/schedules.js";
import { train } from "../../src/training/train.js";
import {
  examplesOf,
  expectWithin,
  expectWithinRelative,
  FIXTURES,
  floatsOf,
  readModel,
  readTensors,
} from "./fixture.js";

const TOLERANCE = 1e-4;
const device = await openDevice({ threads: 1 });
const { model, weights } = await readModel("v1_1");
const reference = await readTensors("v1_1/traces.safetensors");
const numbers = z.array(z.number());
const { traces } = z
  .object({
    traces: z.record(z.string(), z.object({ losses: numbers, gradientNorms: numbers, learningRates: numbers })),
  })
  .parse(await readJson(`${FIXTURES}/v1_1/traces.json`));

const ROWS = 3;
const STEPS = 10;
/** `batches.*` holds `[steps, rows, ...]`, which are so many rows. */
const examples = examplesOf(reference, "batches.");

const runs: readonly {
  trace: string;
  optimizer: Optimizer;
  learningRate: number;
  clipNorm?: number;
  warmupSteps?: number;
}[] = [
  { trace: "adamw", optimizer: adamW({ weightDecay: 0.1 }), learningRate: 1e-2 },
  {
    trace: "adamw_clip_schedule",
    optimizer: adamW({ weightDecay: 0.1 }),
    learningRate: 1e-2,
    clipNorm: 1,
    warmupSteps: 3,
  },
  { trace: "adafactor_transformers", optimizer: adafactor(adafactorPresets.transformers), learningRate: 1e-3 },
  { trace: "adafactor_t5x", optimizer: adafactor(adafactorPresets.t5x), learningRate: 1e-2 },
];

test.each(runs.flatMap((run) => [1, 5].map((stepsPerRun) => ({ ...run, stepsPerRun }))))(
  "ten steps of $trace, $stepsPerRun a run",
  async ({ trace, optimizer, learningRate, clipNorm, warmupSteps, stepsPerRun }) => {
    const expected = traces[trace];
    if (expected === undefined) {
      throw new Error(`expected a trace ${trace}`);
    }
    const losses: number[] = [];
    const gradientNorms: number[] = [];
    const learningRates: number[] = [];
    const result = await train({
      device,
      model,
      weights,
      stream: generatedStream((index) => at(examples, index % examples.length)),
      batch: { rows: ROWS, inputLength: 40, targetLength: 12, sequences: 1, pack: false },
      steps: STEPS,
      stepsPerRun,
      optimizer,
      schedule: createSchedule(
        warmupSteps === undefined
          ? { kind: "constant", learningRate, steps: STEPS }
          : { kind: "linear", learningRate, warmupSteps, steps: STEPS },
      ),
      ...(clipNorm === undefined ? {} : { clipNorm }),
      seed: 1,
      onEvent: (event) => {
        if (event.type === "step-end") {
          losses.push(event.loss);
          gradientNorms.push(event.gradientNorm);
          learningRates.push(event.learningRate);
        }
      },
    });
    expectWithin("losses", losses, expected.losses, TOLERANCE);
    expectWithinRelative("gradient norms", gradientNorms, expected.gradientNorms, TOLERANCE);
    expectWithin("learning rates", learningRates, expected.learningRates, 1e-9);
    const finals = [...reference.keys()].filter((name) => name.startsWith(`${trace}.`));
    expect(finals).toHaveLength(4);
    for (const name of finals) {
      const parameter = name.slice(trace.length + 1);
      expectWithin(parameter, floatsOf(result.tensors, parameter), floatsOf(reference, name), TOLERANCE);
    }
  },
);

const NAMES = ["factored", "vector", "narrow", "small"];

/** Three steps on given gradients, which reach the optimizer multiplied by 8, with a scale of 1/8 (or whatever is asked for). */
async function adafactorSteps(options: AdafactorOptions, scale: number): Promise<Map<string, Float32Array>> {
  const shapes = await readTensors("adafactor_t5x.safetensors");
  const optimizer = adafactor(options);
  const graph = new Graph();
  const scalar = (name: string) => graph.input(name, "float32", []);
  const update = optimizer.begin({
    gradientScale: scalar("gradientScale"),
    learningRate: scalar("learningRate"),
    step: scalar("step"),
  });
  const slots = new Map<string, Tensor>();
  for (const name of NAMES) {
    const initial = shapes.get(`initial.${name}`);
    if (initial === undefined) {
      throw new Error(`expected initial values of ${name}`);
    }
    slots.set(name, initial);
    const states = optimizer.stateOf(initial.shape);
    for (const state of states) {
      const count = state.shape.reduce((product, size) => product * size, 1);
      slots.set(`${name}.${state.name}`, { dtype: "float32", shape: state.shape, data: new Float32Array(count) });
    }
    const updated = update({
      parameter: graph.input(name, "float32", initial.shape),
      gradient: graph.input(`gradient.${name}`, "float32", initial.shape),
      decayed: true,
      state: Object.fromEntries(
        states.map((state) => [state.name, graph.input(`${name}.${state.name}`, "float32", state.shape)]),
      ),
    });
    graph.output(`next:${name}`, updated.parameter);
    for (const [state, value] of Object.entries(updated.state)) {
      graph.output(`next:${name}.${state}`, value);
    }
  }
  const updates = Object.fromEntries([...slots.keys()].map((name) => [name, `next:${name}`]));
  await using program = await device.compile(serializeGraph(graph), { updates });
  await using state = await device.createState(slots);
  const results = new Map<string, Float32Array>();
  const number = (value: number): Tensor => ({ dtype: "float32", shape: [], data: Float32Array.of(value) });
  for (let step = 0; step < 3; step++) {
    const gradients = NAMES.map((name): [string, Tensor] => {
      const data = floatsOf(shapes, `gradient.${step}.${name}`).map((value) => value / scale);
      return [`gradient.${name}`, { dtype: "float32", shape: slots.get(name)?.shape ?? [], data }];
    });
    const feeds = { gradientScale: number(scale), learningRate: number(1e-2), step: number(step + 1) };
    await program.run({ ...Object.fromEntries(gradients), ...feeds }, { state });
    const after = await state.read(NAMES);
    for (const name of NAMES) {
      results.set(`${step}.${name}`, floatsOf(after, name));
    }
  }
  return results;
}

test.each([
  { preset: "t5x", scale: 1 },
  { preset: "t5x", scale: 1 / 8 },
  { preset: "transformers", scale: 1 },
  { preset: "transformers", scale: 1 / 8 },
] as const)(
  "three Adafactor steps on larger tensors: $preset, gradients scaled by $scale",
  async ({ preset, scale }) => {
    const shapes = await readTensors("adafactor_t5x.safetensors");
    const results = await adafactorSteps(adafactorPresets[preset], scale);
    expect(results.size).toBe(12);
    for (const [key, values] of results) {
      expectWithinRelative(key, values, floatsOf(shapes, `${preset}.${key}`), 1e-5);
      // Of the change too, as a parameter is larger than its steps.
      const initial = floatsOf(shapes, `initial.${key.slice(2)}`);
      const change = (after: Float32Array) => after.map((value, index) => value - at(initial, index));
      expectWithinRelative(`${key} change`, change(values), change(floatsOf(shapes, `${preset}.${key}`)), 1e-4);
    }
  },
);

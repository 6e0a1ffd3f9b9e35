import { expect, test } from "vitest";
import { at } from "../../src/core/at.js";
import { Graph } from "../../src/graph/graph.js";
import { randomKey } from "../../src/graph/random.js";
import { serializeGraph } from "../../src/graph/serialize.js";
import { generatedStream } from "../../src/mixtures/example-stream.js";
import { createDropout } from "../../src/models/dropout.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import type { Tensor } from "../../src/tensors/tensor.js";
import { adamW } from "../../src/training/optimizers/adamw.js";
import { createSchedule } from "../../src/training/schedules.js";
import { train } from "../../src/training/train.js";
import type { TrainOptions } from "../../src/training/train-options.js";
import { compileEvaluation, evaluate } from "./evaluate.js";
import { batchOf, examplesOf, floatsOf, readModel, readTensors } from "./fixture.js";

const device = await openDevice({ threads: 1 });
const { model, weights } = await readModel("v1_1");
const reference = await readTensors("v1_1/case.safetensors");
const batch = batchOf(reference, model);
const RATE = 0.1;

test.each(["length", "none"] as const)("broadcast %s: seed and step decide the masks", async (broadcast) => {
  const dropout = { rate: RATE, broadcast };
  await using compiled = await compileEvaluation({
    device,
    model,
    shape: batch.shape,
    dropout,
    differentiate: "tokens",
  });
  const at35 = await compiled.run(batch, weights, { seed: 3, step: 5 });
  expect(await compiled.run(batch, weights, { seed: 3, step: 5 })).toEqual(at35);
  const others = [
    { seed: 3, step: 6 },
    { seed: 4, step: 5 },
    { seed: 5, step: 3 },
    { seed: 2 ** 32 - 1, step: 2 ** 31 },
  ];
  for (const position of others) {
    expect((await compiled.run(batch, weights, position)).logits).not.toEqual(at35.logits);
  }
  // The same model built again draws the same masks.
  await using again = await compileEvaluation({ device, model, shape: batch.shape, dropout });
  expect((await again.run(batch, weights, { seed: 3, step: 5 })).logits).toEqual(at35.logits);
});

test.each(["length", "none"] as const)(
  "broadcast %s: the mean over many masks is near the model without",
  async (broadcast) => {
    const shape = batch.shape;
    const plain = await evaluate({ device, model, batch, tensors: weights });
    // A small rate, as the mean of a function is only nearly the function of the mean.
    await using compiled = await compileEvaluation({ device, model, shape, dropout: { rate: 0.02, broadcast } });
    const runs = 150;
    let sum = 0;
    for (let step = 0; step < runs; step++) {
      sum += (await compiled.run(batch, weights, { seed: 9, step })).tokenLoss;
    }
    expect(Math.abs(sum / runs - plain.tokenLoss)).toBeLessThan(0.05);
  },
);

test("without dropout, and with a rate of 0, the model is the one of evaluation", async () => {
  const plain = await evaluate({ device, model, batch, tensors: weights });
  const zero = await evaluate({ device, model, batch, tensors: weights, dropout: { rate: 0 } });
  expect(zero).toEqual(plain);
});

/** Values after dropout at two sites of `[2, 30, 50]` ones, and a third one on attention values `[2, 3, 40, 8]`. */
async function masks(broadcast: "length" | "none", step: number) {
  const graph = new Graph();
  const key = randomKey(graph.input("seed", "int64", []), graph.input("step", "int64", []));
  const dropout = createDropout({ rate: RATE, key, broadcast });
  const ones = graph.input("ones", "float32", [2, 30, 50]);
  const values = graph.input("values", "float32", [2, 3, 40, 8]);
  graph.output("first", dropout.apply(ones, 1));
  graph.output("second", dropout.apply(ones, 1));
  const attention = dropout.attention(values, [2, 3, 20, 40]);
  graph.output("attention", attention.values);
  if (attention.probabilityMask !== undefined) {
    graph.output("mask", attention.probabilityMask);
  }
  await using program = await device.compile(serializeGraph(graph));
  const integer = (value: number): Tensor => ({ dtype: "int64", shape: [], data: BigInt64Array.of(BigInt(value)) });
  const filled = (shape: readonly number[]): Tensor => ({
    dtype: "float32",
    shape,
    data: new Float32Array(shape.reduce((product, size) => product * size, 1)).fill(1),
  });
  const { outputs } = await program.run({
    seed: integer(1),
    step: integer(step),
    ones: filled(ones.shape.map(Number)),
    values: filled(values.shape.map(Number)),
  });
  return new Map(Object.entries(outputs));
}

test.each(["length", "none"] as const)(
  "broadcast %s: a tenth is dropped, the rest scaled, every site on its own",
  async (broadcast) => {
    const results = await masks(broadcast, 1);
    const first = floatsOf(results, "first");
    expect(new Set(first)).toEqual(new Set([0, Math.fround(1 / (1 - RATE))]));
    expect(floatsOf(results, "second")).not.toEqual(first);
    // A step draws 100 numbers where masks are shared along the length: the share over several steps.
    let dropped = 0;
    let count = 0;
    for (let step = 0; step < 20; step++) {
      const values = floatsOf(await masks(broadcast, step), "first");
      dropped += values.filter((value) => value === 0).length;
      count += values.length;
    }
    expect(Math.abs(dropped / count - RATE)).toBeLessThan(0.03);
    // Along the length of a row all positions share a mask, or none does; columns have masks of their own.
    const positions = Array.from({ length: 30 }, (_, position) =>
      first.slice(50 * position, 50 * position + 50).join(),
    );
    expect(new Set(positions).size).toBe(broadcast === "length" ? 1 : 30);
    expect(new Set(first.slice(0, 50)).size).toBe(2);
    // Attention: a mask of key positions on the values, or one on the probabilities.
    expect(results.has("mask")).toBe(broadcast === "none");
    const values = floatsOf(results, "attention");
    expect(new Set(values).size).toBe(broadcast === "length" ? 2 : 1);
    const keys = Array.from(
      { length: values.length / 8 },
      (_, key) => new Set(values.subarray(8 * key, 8 * key + 8)).size,
    );
    expect(new Set(keys)).toEqual(new Set([1]));
  },
);

test("training draws new masks at every step, by its seed", async () => {
  const example = at(examplesOf(reference), 0);
  const losses = async (options: Pick<TrainOptions, "seed"> & Partial<TrainOptions>): Promise<number[]> => {
    const found: number[] = [];
    await train({
      device,
      model,
      weights,
      stream: generatedStream(() => example),
      batch: { rows: 1, inputLength: 40, targetLength: 12, sequences: 1 },
      steps: 3,
      stepsPerRun: 1,
      optimizer: adamW(),
      // So small that the parameters stay as they are: what changes is the mask.
      schedule: createSchedule({ kind: "constant", learningRate: 1e-12, steps: 3 }),
      onEvent: (event) => {
        if (event.type === "step-end") {
          found.push(event.loss);
        }
      },
      ...options,
    });
    return found;
  };
  const plain = await losses({ seed: 1 });
  expect(new Set(plain).size).toBe(1);
  for (const broadcast of ["length", "none"] as const) {
    const dropout = { rate: RATE, broadcast };
    const one = await losses({ seed: 1, dropout });
    expect(new Set([...one, ...plain]).size).toBe(4);
    expect(await losses({ seed: 1, dropout })).toEqual(one);
    expect(await losses({ seed: 2, dropout })).not.toEqual(one);
  }
});

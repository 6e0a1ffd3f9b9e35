import { expect, test } from "vitest";
import { at } from "../../src/core/at.js";
import { bottleneck } from "../../src/experts/bottleneck.js";
import { ia3 } from "../../src/experts/ia3.js";
import { lora } from "../../src/experts/lora.js";
import { generatedStream } from "../../src/mixtures/example-stream.js";
import type { Delta } from "../../src/models/delta.js";
import { initialTensors } from "../../src/models/initialize.js";
import { openModelFolder } from "../../src/models/node/model-folder.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import type { StepEndEvent } from "../../src/training/events.js";
import { adamW } from "../../src/training/optimizers/adamw.js";
import { createSchedule } from "../../src/training/schedules.js";
import { train } from "../../src/training/train.js";
import { evaluate } from "./evaluate.js";
import { expectCase } from "./expect-case.js";
import {
  batchOf,
  bytesOf,
  examplesOf,
  expectWithin,
  expectWithinRelative,
  FIXTURES,
  floatsOf,
  readModel,
  readTensors,
  type TensorMap,
} from "./fixture.js";

const PEFT_PREFIX = "base_model.model.";
const device = await openDevice({ threads: 1 });
const { model, weights } = await readModel("v1_1");

function withoutPrefix(tensors: TensorMap): TensorMap {
  return new Map([...tensors].map(([name, tensor]) => [name.slice(PEFT_PREFIX.length), tensor]));
}

async function expectDelta(options: {
  readonly folder: string;
  readonly delta: Delta;
  readonly tensors: TensorMap;
  readonly prefix?: string;
}): Promise<void> {
  const { folder, delta, tensors, prefix = "" } = options;
  const trained = delta.parameters.map(({ name }) => name);
  expect(trained.toSorted()).toEqual([...tensors.keys()].sort());
  for (const { name, shape } of delta.parameters) {
    expect(tensors.get(name)?.shape, name).toEqual(shape);
  }
  const reference = await readTensors(`v1_1/${folder}/case.safetensors`);
  const batch = batchOf(reference, model);
  const evaluation = await evaluate({
    device,
    model,
    batch,
    delta,
    tensors: new Map([...weights, ...tensors]),
    differentiate: "tokens",
  });
  expectCase({ reference, evaluation, batch, vocabularySize: model.vocabularySize, trained, prefix });
  await expectFirstStep({ reference, delta, tensors });
}

/** The same loss and gradients in the real training step, with the frozen weights mapped from their file. */
async function expectFirstStep(options: {
  readonly reference: TensorMap;
  readonly delta: Delta;
  readonly tensors: TensorMap;
}): Promise<void> {
  const { reference, delta, tensors } = options;
  const examples = examplesOf(reference);
  const steps: StepEndEvent[] = [];
  await using folder = await openModelFolder(`${FIXTURES}/v1_1`);
  const result = await train({
    device,
    model,
    weights: folder.weights,
    delta,
    deltaTensors: tensors,
    stream: generatedStream((index) => at(examples, index % examples.length)),
    batch: { rows: examples.length, inputLength: 40, targetLength: 12, sequences: 1, pack: false },
    steps: 1,
    optimizer: adamW(),
    schedule: createSchedule({ kind: "constant", learningRate: 1e-3, steps: 1 }),
    seed: 1,
    onEvent: (event) => {
      if (event.type === "step-end") {
        steps.push(event);
      }
    },
  });
  const gradients = [...reference].filter(([name]) => name.startsWith("grad."));
  const squares = gradients.flatMap(([name]) => [...floatsOf(reference, name)].map((number) => number ** 2));
  const norm = Math.sqrt(squares.reduce((sum, square) => sum + square, 0));
  expectWithin(
    "loss of a training step",
    steps.map(({ loss }) => loss),
    floatsOf(reference, "loss"),
    1e-5,
  );
  expectWithinRelative(
    "gradient norm of a training step",
    steps.map(({ gradientNorm }) => gradientNorm),
    [norm],
    1e-4,
  );
  expect([...result.tensors.keys()].sort()).toEqual([...tensors.keys()].sort());
}

test.each([
  { folder: "lora", rankStabilized: false },
  { folder: "lora_rslora", rankStabilized: true },
])("$folder computes what peft computes", async ({ folder, rankStabilized }) => {
  const delta = lora({ rank: 4, alpha: 12, rankStabilized, targets: ["q", "v"] }, model.hookPoints);
  const tensors = withoutPrefix(await readTensors(`v1_1/${folder}/adapter_model.safetensors`));
  await expectDelta({ folder, delta, tensors, prefix: PEFT_PREFIX });
});

test("(IA)³ computes what peft computes", async () => {
  const tensors = withoutPrefix(await readTensors("v1_1/ia3/adapter_model.safetensors"));
  await expectDelta({ folder: "ia3", delta: ia3({}, model.hookPoints), tensors, prefix: PEFT_PREFIX });
});

test("bottleneck adapters with their own layer norms compute what PyTorch computes", async () => {
  const delta = bottleneck({ width: 4 }, model.hookPoints);
  const tensors = await readTensors("v1_1/bottleneck/delta.safetensors");
  const norms = model.hookPoints.norms.map(({ name }) => name);
  expect(norms.filter((name) => bytesOf(tensor(tensors, name)).equals(bytesOf(tensor(weights, name))))).toEqual([]);
  await expectDelta({ folder: "bottleneck", delta, tensors });
});

test("fresh LoRA weights leave the model as it is", async () => {
  const delta = lora({ rank: 4, alpha: 12, targets: ["q", "k", "v", "o", "wi_0", "wi_1", "wo"] }, model.hookPoints);
  expect(delta.parameters).toHaveLength(2 * model.hookPoints.linears.length);
  const batch = batchOf(await readTensors("v1_1/case.safetensors"), model);
  const plain = await evaluate({ device, model, batch, tensors: weights });
  const tensors = new Map([...weights, ...initialTensors(delta.parameters, 1)]);
  const adapted = await evaluate({ device, model, batch, delta, tensors });
  expect(adapted.logits).toEqual(plain.logits);
});

test("fresh (IA)³ vectors leave the model as it is", async () => {
  const targets = ["q", "k", "v", "o", "wi_0", "wi_1", "wo"];
  const delta = ia3({ targets, feedForwardTargets: ["wo", "q"] }, model.hookPoints);
  expect(delta.parameters).toHaveLength(model.hookPoints.linears.length);
  const batch = batchOf(await readTensors("v1_1/case.safetensors"), model);
  const plain = await evaluate({ device, model, batch, tensors: weights });
  const tensors = new Map([...weights, ...initialTensors(delta.parameters, 1)]);
  const adapted = await evaluate({ device, model, batch, delta, tensors });
  expect(adapted.logits).toEqual(plain.logits);
});

test("a fresh bottleneck starts close to the base, from its layer norms", async () => {
  const delta = bottleneck({ width: 4 }, model.hookPoints);
  const batch = batchOf(await readTensors("v1_1/case.safetensors"), model);
  const plain = await evaluate({ device, model, batch, tensors: weights });
  const adapters = delta.parameters.filter(({ name }) => name.includes(".adapter."));
  const tensors = new Map([...weights, ...initialTensors(adapters, 1)]);
  const adapted = await evaluate({ device, model, batch, delta, tensors });
  expect(Math.abs(adapted.tokenLoss - plain.tokenLoss)).toBeLessThan(0.05);
});

test("LoRA refuses a target that the model has not", () => {
  expect(() => lora({ rank: 4, alpha: 8, targets: ["q", "query"] }, model.hookPoints)).toThrow(
    'lora: expected targets among q, k, v, o, wi_0, wi_1, wo, encoder.embed_tokens, got "query"',
  );
});

test("(IA)³ refuses targets that the model has not and feed-forward targets that are no targets", () => {
  expect(() => ia3({ targets: ["k", "key"], feedForwardTargets: [] }, model.hookPoints)).toThrow(
    'ia3: expected targets among q, k, v, o, wi_0, wi_1, wo, got "key"',
  );
  expect(() => ia3({ targets: ["k"] }, model.hookPoints)).toThrow('ia3: expected feedForwardTargets among k, got "wo"');
});

function tensor(tensors: TensorMap, name: string) {
  const found = tensors.get(name);
  if (found === undefined) {
    throw new Error(`expected a tensor ${name}`);
  }
  return found;
}

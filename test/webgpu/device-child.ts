/**
 * Small trainings on a device, in a process of its own that a driver may end: `node device-child.js KIND CASE...`. Prints one line of JSON for each
 * case: its losses, and what the trained tensors hold.
 */
import { createDelta } from "../../src/experts/delta-config.js";
import { mul, sub } from "../../src/graph/ops/elementwise.js";
import { initialTensors } from "../../src/models/initialize.js";
import { parseT5Config } from "../../src/models/t5/config.js";
import { createT5 } from "../../src/models/t5/t5.js";
import { checkDeviceKind, openDevice } from "../../src/runtime/node/open-device.js";
import { adafactor, adafactorPresets } from "../../src/training/optimizers/adafactor.js";
import type { Optimizer } from "../../src/training/optimizers/optimizer.js";
import { createSchedule } from "../../src/training/schedules.js";
import { train } from "../../src/training/train.js";
import type { TrainOptions } from "../../src/training/train-options.js";
import { tinyModel, tinyOptions } from "../training/tiny-training.js";

/** What a case came to. */
export interface Outcome {
  readonly name: string;
  /** Loss and norm of the gradients at each step. */
  readonly losses: readonly (readonly [number, number])[];
  /** Trained tensor to its elements. */
  readonly tensors: Readonly<Record<string, readonly number[]>>;
  readonly seconds: number;
}

const batch = { rows: 2, inputLength: 12, targetLength: 6, sequences: 4 };
const model = tinyModel();
const tied = createT5(
  parseT5Config({
    vocab_size: 32,
    d_model: 16,
    d_kv: 4,
    d_ff: 24,
    num_layers: 1,
    num_decoder_layers: 2,
    num_heads: 2,
    relative_attention_num_buckets: 8,
    relative_attention_max_distance: 16,
    feed_forward_proj: "relu",
    tie_word_embeddings: true,
  }),
);
/** Parameters less the gradients, so that their difference shows what every gradient was. */
const descent: Optimizer = {
  name: "descent",
  elementwise: true,
  stateOf: () => [],
  begin:
    ({ gradientScale, learningRate }) =>
    ({ parameter, gradient }) => ({
      parameter: sub(parameter, mul(gradient, mul(gradientScale, learningRate))),
      state: {},
    }),
};
const one = createSchedule({ kind: "constant", learningRate: 1, steps: 1 });

const CASES: Readonly<Record<string, Partial<TrainOptions>>> = {
  gradients: { steps: 1, optimizer: descent, schedule: one, losses: { tokens: 1, choices: 1 } },
  adamw: { steps: 4 },
  adafactor: { steps: 4, optimizer: adafactor(adafactorPresets.t5x), losses: { tokens: 1, choices: 1 } },
  lora: { steps: 4, delta: createDelta({ kind: "lora", config: { rank: 2, alpha: 4 } }, model.hookPoints) },
  tied: { steps: 2, model: tied, dropout: { rate: 0.2, broadcast: "none" } },
  recomputed: { steps: 2, recompute: true },
  accumulated: { steps: 2, batch: { ...batch, accumulate: 2 } },
  looped: { steps: 4, stepsPerRun: 2, batch: { ...batch, accumulate: 2 } },
};

const [kind = "", ...names] = process.argv.slice(2);
checkDeviceKind(kind, "device-child");
await using device = await openDevice({ kind, threads: 1 });
for (const name of names) {
  const options = CASES[name];
  if (options === undefined) throw new Error(`no case ${name}`);
  const losses: [number, number][] = [];
  const started = performance.now();
  const { tensors } = await train({
    ...tinyOptions(device, {
      model,
      weights: initialTensors((options.model ?? model).parameters, 7),
      batch,
      ...options,
    }),
    onEvent: (event) => {
      if (event.type === "step-end") losses.push([event.loss, event.gradientNorm]);
    },
  });
  const outcome: Outcome = {
    name,
    losses,
    tensors: Object.fromEntries([...tensors].map(([tensor, { data }]) => [tensor, Array.from(data, Number)])),
    seconds: (performance.now() - started) / 1000,
  };
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}

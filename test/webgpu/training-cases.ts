import { createDelta } from "../../src/experts/delta-config.js";
import { mixExperts } from "../../src/experts/mixed.js";
import { layOutRows } from "../../src/experts/rows.js";
import { trainTogether } from "../../src/experts/train-together.js";
import { mul, sub } from "../../src/graph/ops/elementwise.js";
import { initialTensors } from "../../src/models/initialize.js";
import type { PackedBatch, WeightedExpert } from "../../src/models/packed-batch.js";
import { parseT5Config } from "../../src/models/t5/config.js";
import { createT5 } from "../../src/models/t5/t5.js";
import type { Device } from "../../src/runtime/device.js";
import type { Tensor } from "../../src/tensors/tensor.js";
import type { TrainingEvent } from "../../src/training/events.js";
import { adafactor, adafactorPresets } from "../../src/training/optimizers/adafactor.js";
import type { Optimizer } from "../../src/training/optimizers/optimizer.js";
import { createSchedule } from "../../src/training/schedules.js";
import { train } from "../../src/training/train.js";
import type { BatchSource, TrainOptions } from "../../src/training/train-options.js";
import { randomExperts } from "../experts/tiny-experts.js";
import { tinyModel, tinyOptions, tinyStream } from "../training/tiny-training.js";
import type { Case, Results } from "./device-child.js";

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
const lora = { kind: "lora", config: { rank: 2, alpha: 4 } } as const;

/** Trained tensors, and loss and norm of the gradients at each step. */
async function resultsOf(
  run: (onEvent: (event: TrainingEvent) => void) => Promise<ReadonlyMap<string, Tensor>>,
): Promise<Results> {
  const numbers: Record<string, number[]> = {};
  const tensors = await run((event) => {
    if (event.type === "step-end") {
      numbers[`loss of step ${event.step}`] = [event.loss];
      numbers[`norm of step ${event.step}`] = [event.gradientNorm];
    }
  });
  for (const [name, { data }] of tensors) {
    numbers[name] = Array.from(data, Number);
  }
  return { numbers };
}

function optionsOf(device: Device, options: Partial<TrainOptions>): TrainOptions {
  const weights = initialTensors((options.model ?? model).parameters, 7);
  return tinyOptions(device, { model, weights, batch, ...options });
}

function training(options: Partial<TrainOptions>): Case {
  return (device) => resultsOf(async (onEvent) => (await train({ ...optionsOf(device, options), onEvent })).tensors);
}

/** Rows of a batch that are trained on: of an expert, of several with weights, of the base. */
const rowExperts: readonly (readonly WeightedExpert[])[] = [
  [{ id: "lora-small", weight: 1 }],
  [
    { id: "bottleneck-small", weight: 0.5 },
    { id: "ia3-all", weight: 0.25 },
    { id: "lora-embedding", weight: 0.75 },
  ],
  [],
];
const mixed = mixExperts(randomExperts(model.hookPoints), model.hookPoints);
const mixedBatch = { ...batch, rows: rowExperts.length };
const mixedRows: BatchSource = {
  open: () => {
    const stream = tinyStream();
    const next = (): PackedBatch =>
      layOutRows(
        rowExperts.map((experts) => [{ example: stream.next(), experts }]),
        mixedBatch,
        model.padId,
      );
    const counts = { examples: 0, inputTokensCut: 0, targetTokensCut: 0, truncatedExamples: 0 };
    return { next, position: () => stream.position(), counts: () => counts };
  },
};

const together: Case = (device) =>
  resultsOf(async (onEvent) => {
    const { stream: _, ...options } = optionsOf(device, { steps: 2, dropout: { rate: 0 } });
    const { tensors } = await trainTogether({
      ...options,
      delta: lora,
      experts: ["first", "second"].map((id, index) => ({ id, seed: index, stream: tinyStream() })),
      onEvent,
    });
    return new Map([...tensors].flatMap(([id, own]) => [...own].map(([name, tensor]) => [`${id} ${name}`, tensor])));
  });

/** Small trainings. */
export const TRAINING_CASES: Readonly<Record<string, Case>> = {
  gradients: training({ steps: 1, optimizer: descent, schedule: one, losses: { tokens: 1, choices: 1 } }),
  adamw: training({ steps: 4 }),
  adafactor: training({
    steps: 4,
    optimizer: adafactor(adafactorPresets.t5x),
    losses: { tokens: 1, choices: 1 },
  }),
  lora: training({ steps: 4, delta: createDelta(lora, model.hookPoints) }),
  tied: training({ steps: 2, model: tied, dropout: { rate: 0.2, broadcast: "none" } }),
  recomputed: training({ steps: 2, recompute: true }),
  accumulated: training({ steps: 3, batch: { ...batch, accumulate: 2 } }),
  "accumulated-lora": training({
    steps: 3,
    delta: createDelta(lora, model.hookPoints),
    batch: { ...batch, accumulate: 2 },
  }),
  looped: training({ steps: 4, stepsPerRun: 2, batch: { ...batch, accumulate: 2 } }),
  "mixed-rows": training({
    steps: 2,
    delta: mixed.delta,
    deltaTensors: mixed.tensors,
    stream: mixedRows,
    batch: mixedBatch,
  }),
  together,
};

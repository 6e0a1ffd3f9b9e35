import { rm } from "node:fs/promises";
import { createRandom } from "../src/core/random.js";
import { createDelta, type DeltaConfig } from "../src/experts/delta-config.js";
import { generatedStream } from "../src/mixtures/example-stream.js";
import { openModelFolder, saveModelFolder } from "../src/models/node/model-folder.js";
import type { BatchShape } from "../src/models/packed-batch.js";
import type { ParameterSpec } from "../src/models/parameter.js";
import { parseT5Config } from "../src/models/t5/config.js";
import { createT5 } from "../src/models/t5/t5.js";
import { openDevice } from "../src/runtime/node/open-device.js";
import type { Tensor } from "../src/tensors/tensor.js";
import { estimateMemory } from "../src/training/memory.js";
import { adafactor, adafactorPresets } from "../src/training/optimizers/adafactor.js";
import { adamW } from "../src/training/optimizers/adamw.js";
import { createSchedule } from "../src/training/schedules.js";
import { train } from "../src/training/train.js";
import { frozenWeights } from "../src/training/weights.js";

/** A training whose memory is measured: all of it, as JSON on the command line. */
export interface SizeRunOptions {
  /** Where weights are written first, or lie already. */
  readonly folder: string;
  /** `write`: makes the folder. `train`: trains from it. */
  readonly action: "write" | "train";
  /** T5 `config.json`. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly batch: BatchShape & { readonly accumulate?: number };
  readonly optimizer: "adafactor" | "adamw";
  readonly delta?: DeltaConfig;
  readonly recompute: boolean;
  readonly steps: number;
  readonly stepsPerRun: number;
  readonly clipNorm?: number;
}

/** What it prints as JSON. */
export interface SizeRun {
  readonly predictedBytes: number;
  readonly peakBytes: number;
  /** Resident before the first step, with weights, optimizer state and the compiled program. */
  readonly startBytes: number;
  /** Of each step. */
  readonly seconds: readonly number[];
}

const DROPOUT = { rate: 0.1 };
/** Random numbers that the weights repeat: drawing a billion would take minutes. */
const BLOCK = 2 ** 20;

// Parse boundary: the parent wrote it.
const options = JSON.parse(process.argv[2] ?? "{}") as SizeRunOptions;
if (options.action === "write") {
  await writeWeights();
} else {
  console.log(JSON.stringify(await measure()));
}

async function writeWeights(): Promise<void> {
  const { folder } = options;
  await rm(folder, { recursive: true, force: true });
  const config = parseT5Config(options.config);
  const random = createRandom(1);
  const block = Float32Array.from({ length: BLOCK }, () => random.nextNormal());
  const tensor = ({ shape, initializer }: ParameterSpec): Tensor => {
    const scale = initializer.kind === "normal" ? initializer.standardDeviation : 0;
    const offset = initializer.kind === "ones" ? 1 : 0;
    const length = shape.reduce((product, size) => product * size, 1);
    const data = Float32Array.from({ length }, (_, index) => offset + scale * (block[index % BLOCK] ?? 0));
    return { dtype: "float32", shape, data };
  };
  const tensors = new Map(createT5(config).parameters.map((parameter) => [parameter.name, tensor(parameter)]));
  await saveModelFolder(folder, { config, tensors });
}

async function measure(): Promise<SizeRun> {
  const { batch, recompute, steps, stepsPerRun, clipNorm } = options;
  await using opened = await openModelFolder(options.folder);
  await using device = await openDevice();
  const { model, weights } = opened;
  const delta = options.delta && createDelta(options.delta, model.hookPoints);
  const optimizer = options.optimizer === "adamw" ? adamW() : adafactor(adafactorPresets.t5x);
  const seconds: number[] = [];
  let startBytes = 0;
  await train({
    device,
    model,
    weights,
    ...(delta === undefined ? {} : { delta }),
    stream: generatedStream((index) => {
      const random = createRandom(1, index);
      const ids = (length: number) =>
        Int32Array.from({ length }, () => 2 + random.nextInteger(model.vocabularySize - 2));
      return { input: ids(batch.inputLength), targets: [ids(batch.targetLength)], correct: 0 };
    }),
    batch,
    steps,
    optimizer,
    schedule: createSchedule({ kind: "constant", learningRate: 1e-4, steps }),
    ...(clipNorm === undefined ? {} : { clipNorm }),
    dropout: DROPOUT,
    recompute,
    seed: 1,
    stepsPerRun,
    onEvent: (event) => {
      if (event.type === "training-start") startBytes = process.memoryUsage.rss();
      if (event.type === "step-end") seconds.push(event.seconds);
    },
  });
  const { peakBytes } = await device.memory();
  const { totalBytes } = estimateMemory({
    model,
    delta,
    frozen: frozenWeights(weights, model.parameters),
    shape: batch,
    accumulate: batch.accumulate ?? 1,
    stepsPerRun,
    optimizer,
    clipNorm,
    dropout: DROPOUT,
    recompute,
    decayed: () => false,
    losses: { tokens: true, choices: false },
  });
  return { predictedBytes: totalBytes, peakBytes, startBytes, seconds };
}

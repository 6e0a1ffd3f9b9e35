import { createRandom } from "../src/core/random.js";
import { bottleneck } from "../src/experts/bottleneck.js";
import { lora } from "../src/experts/lora.js";
import type { EncodedExample } from "../src/mixtures/encoded-example.js";
import { type ExampleStream, generatedStream, shuffledStream } from "../src/mixtures/example-stream.js";
import type { Delta } from "../src/models/delta.js";
import type { HookPoints } from "../src/models/hooks.js";
import { openModelFolder } from "../src/models/node/model-folder.js";
import type { Device } from "../src/runtime/device.js";
import { openDevice } from "../src/runtime/node/open-device.js";
import { adafactor, adafactorPresets } from "../src/training/optimizers/adafactor.js";
import { adamW } from "../src/training/optimizers/adamw.js";
import { createSchedule } from "../src/training/schedules.js";
import { train } from "../src/training/train.js";
import { superglueExamples } from "./superglue.js";

/** One line of the bench. */
export interface TrainRun {
  readonly name: TrainRunName;
  /** Input tokens that are not padding, each second. */
  readonly tokensPerSecond: number;
  readonly gflops: number;
  /** Median over the measured steps. */
  readonly stepSeconds: number;
  readonly peakMemoryBytes: number;
  readonly dropout: number;
  /** Compiled training programs. */
  readonly programs: number;
}

/** The runs of the bench. */
export type TrainRunName = "full" | "bottleneck" | "lora" | "full-superglue";

/** The first steps touch memory for the first time, which is several times slower; they are left out. */
const WARMUP_STEPS = 5;
const MEASURED_STEPS = 10;
const DROPOUT = 0.1;
const shape = { rows: 8, inputLength: 512, targetLength: 128, sequences: 32 };

const deltas: Readonly<Record<TrainRunName, ((points: HookPoints) => Delta) | undefined>> = {
  full: undefined,
  "full-superglue": undefined,
  bottleneck: (points) => bottleneck({ width: 16 }, points),
  lora: (points) => lora({ rank: 16, alpha: 16, targets: ["q", "k", "v", "o"] }, points),
};

const [name, folder] = process.argv.slice(2) as [TrainRunName, string];
await using opened = await openModelFolder(folder);
await using cpu = await openDevice();
let programs = 0;
const device: Device = {
  ...cpu,
  compile: (model, options) => {
    programs++;
    return cpu.compile(model, options);
  },
};
const delta = deltas[name]?.(opened.model.hookPoints);
const steps: { readonly seconds: number; readonly inputTokens: number }[] = [];
let flopsPerStep = 0;
const count = WARMUP_STEPS + MEASURED_STEPS;
await train({
  device,
  model: opened.model,
  weights: opened.weights,
  ...(delta === undefined ? {} : { delta }),
  stream: streamOf(name, opened.model.vocabularySize),
  batch: shape,
  steps: count,
  optimizer: delta === undefined ? adafactor(adafactorPresets.t5x) : adamW(),
  schedule: createSchedule({ kind: "constant", learningRate: delta === undefined ? 1e-3 : 1e-4, steps: count }),
  dropout: { rate: DROPOUT },
  seed: 1,
  onEvent: (event) => {
    if (event.type === "training-start") {
      flopsPerStep = event.flopsPerStep;
    } else if (event.type === "step-end") {
      steps.push(event);
    }
  },
});
const measured = steps.slice(WARMUP_STEPS);
const stepSeconds = median(measured.map(({ seconds }) => seconds));
const inputTokens = measured.reduce((sum, step) => sum + step.inputTokens, 0) / measured.length;
const run: TrainRun = {
  name,
  tokensPerSecond: inputTokens / stepSeconds,
  gflops: flopsPerStep / stepSeconds / 1e9,
  stepSeconds,
  peakMemoryBytes: (await device.memory()).peakBytes,
  dropout: DROPOUT,
  programs,
};
console.log(JSON.stringify(run));

function streamOf(run: TrainRunName, vocabularySize: number): ExampleStream {
  if (run === "full-superglue") {
    return shuffledStream(superglueExamples(vocabularySize), 1);
  }
  return generatedStream((index): EncodedExample => {
    const random = createRandom(1, index);
    const ids = (length: number) => Int32Array.from({ length }, () => 2 + random.nextInteger(vocabularySize - 2));
    return { input: ids(shape.inputLength), targets: [ids(shape.targetLength)], correct: 0 };
  });
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

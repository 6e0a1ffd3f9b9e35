import { createHash } from "node:crypto";
import { createRandom } from "../../src/core/random.js";
import type { EncodedExample } from "../../src/mixtures/encoded-example.js";
import { type ExampleStream, shuffledStream } from "../../src/mixtures/example-stream.js";
import type { Model } from "../../src/models/model.js";
import { parseT5Config } from "../../src/models/t5/config.js";
import { createT5 } from "../../src/models/t5/t5.js";
import type { Device } from "../../src/runtime/device.js";
import type { Tensor } from "../../src/tensors/tensor.js";
import { bytesOfTensor } from "../../src/tensors/tensor-bytes.js";
import { adamW } from "../../src/training/optimizers/adamw.js";
import { createSchedule } from "../../src/training/schedules.js";
import type { TrainOptions } from "../../src/training/train-options.js";

const VOCABULARY = 32;
const END = 1;

/** A T5 v1.1 of 5 thousand parameters. */
export function tinyModel(): Model {
  return createT5(
    parseT5Config({
      vocab_size: VOCABULARY,
      d_model: 16,
      d_kv: 8,
      d_ff: 32,
      num_layers: 1,
      num_heads: 2,
      relative_attention_num_buckets: 8,
      relative_attention_max_distance: 16,
      feed_forward_proj: "gated-gelu",
      tie_word_embeddings: false,
    }),
  );
}

/** Examples whose tokens repeat a lot, which is where adding up gradients of an embedding could go wrong. */
export function tinyExamples({ longest = 10 } = {}): EncodedExample[] {
  const random = createRandom(11);
  return Array.from({ length: 50 }, () => {
    const token = 2 + random.nextInteger(VOCABULARY - 2);
    const input = Array.from({ length: 1 + random.nextInteger(longest - 1) }, (_, index) =>
      index % 3 === 2 ? 2 : token,
    );
    return { input: Int32Array.from([...input, END]), targets: [Int32Array.of(token, token, END)], correct: 0 };
  });
}

/** Those examples for ever, shuffled. */
export function tinyStream(): ExampleStream {
  return shuffledStream(tinyExamples(), 5);
}

/** Options with which `train` does something on everything that a test does not name. */
export function tinyOptions(device: Device, options: Partial<TrainOptions> = {}): TrainOptions {
  const steps = options.steps ?? 12;
  return {
    device,
    model: tinyModel(),
    stream: tinyStream(),
    batch: { rows: 4, inputLength: 24, targetLength: 12, sequences: 6 },
    optimizer: adamW({ weightDecay: 0.01 }),
    schedule: createSchedule({ kind: "linear", learningRate: 0.01, warmupSteps: 2, steps }),
    clipNorm: 1,
    dropout: { rate: 0.1 },
    seed: 3,
    stepsPerRun: 1,
    ...options,
    steps,
  };
}

/** A hash of every tensor's bytes, so that a comparison is one of bits and a difference is short. */
export function bitsOf(tensors: ReadonlyMap<string, Tensor>): Record<string, string> {
  return Object.fromEntries(
    [...tensors]
      .toSorted(([left], [right]) => (left < right ? -1 : 1))
      .map(([name, tensor]) => [name, createHash("sha256").update(bytesOfTensor(tensor)).digest("hex")]),
  );
}

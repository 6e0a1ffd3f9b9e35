/** What the frozen files of version 1 hold. Never change it: those files must always open and say this. */
import type { BaseReference } from "../../src/library/manifest.js";
import type { NewExpert } from "../../src/library/node/expert-folder.js";
import { tensor } from "../../src/tensors/tensor.js";

/** `test/fixtures/t5/v1_1` and its hash. */
export const frozenBase: BaseReference = {
  id: "test/fixtures/t5/v1_1",
  hash: "5685364e3a0ddd231b55777d85962feaae9e40e1015f408d5caa1ad34cb42b9a",
};

const encoder = { id: "base-mean", width: 3, pooling: "mean" };
const created = "2026-11-21T09:00:00.000Z";

function counted(shape: readonly number[], first: number) {
  const size = shape.reduce((product, length) => product * length, 1);
  return tensor("float32", shape, Float32Array.from({ length: size }, (_, index) => first + index / 8));
}

const projection = (stack: string, kind: string, index: number) => `${stack}.block.${index}.layer.0.SelfAttention.${kind}`;
const attentions = ["encoder.block.0.layer.0", "encoder.block.1.layer.0", "decoder.block.0.layer.0", "decoder.block.1.layer.0", "decoder.block.2.layer.0"]
  .map((path) => `${path}.SelfAttention`)
  .concat([0, 1, 2].map((block) => `decoder.block.${block}.layer.1.EncDecAttention`));

/** By name. */
export const frozenExperts: Readonly<Record<string, NewExpert>> = {
  "Größe: tickets 🧾": {
    manifest: {
      name: "Größe: tickets 🧾",
      task: "tickets",
      template: "{{ text }}\nWhich team?",
      choices: ["billing", "Technik", ""],
      metric: "accuracy",
      delta: { kind: "lora", config: { rank: 2, alpha: 3, rankStabilized: true, targets: ["q"] } },
      origin: { kind: "trained", recipe: { steps: 60, learningRate: 3e-3, batch: { rows: 32 } } },
      identity: "one training",
      seed: 7,
      metrics: { accuracy: 0.875, loss: 1e-7 },
      created,
    },
    tensors: new Map(
      attentions.flatMap((path, index) => [
        [`${path}.q.lora_A.weight`, counted([2, 16], index)],
        [`${path}.q.lora_B.weight`, counted([15, 2], -index)],
      ]),
    ),
    adapterConfig: {
      peft_type: "LORA",
      base_model_name_or_path: "test/fixtures/t5/v1_1",
      task_type: "SEQ_2_SEQ_LM",
      inference_mode: true,
      fan_in_fan_out: false,
      r: 2,
      lora_alpha: 3,
      lora_dropout: 0,
      use_rslora: true,
      bias: "none",
      target_modules: ["q"],
    },
    keys: { encoder, vectors: counted([2, 3], -1), texts: ["I was charged twice", "Es geht nicht \u0000 😀"] },
  },
  vectors: {
    manifest: {
      name: "vectors",
      task: "letters",
      delta: { kind: "ia3", config: { targets: ["v"], feedForwardTargets: [] } },
      origin: { kind: "imported", recipe: { from: "peft" } },
      created,
    },
    tensors: new Map(attentions.map((path, index) => [`${path}.v.ia3_l`, counted([15, 1], index)])),
    adapterConfig: {
      peft_type: "IA3",
      base_model_name_or_path: "test/fixtures/t5/v1_1",
      task_type: "SEQ_2_SEQ_LM",
      inference_mode: true,
      fan_in_fan_out: false,
      target_modules: ["v"],
      feedforward_modules: [],
    },
    keys: { encoder, vectors: counted([1, 3], 0.5) },
  },
  "all tasks": {
    manifest: {
      name: "all tasks",
      role: "multitask",
      task: "several",
      delta: { kind: "full", config: {} },
      origin: { kind: "merged", recipe: { method: "mean", of: ["a", "b"] } },
      created,
    },
    tensors: new Map([
      ["encoder.final_layer_norm.weight", counted([16], 1)],
      [`${projection("encoder", "relative_attention_bias", 0)}.weight`, counted([32, 3], -2)],
    ]),
  },
};

/** A folder as `cadre train RECIPE.yaml` writes it for a bottleneck. */
export const frozenFolder: NewExpert = {
  manifest: {
    name: "bottleneck",
    task: "remarks",
    delta: { kind: "bottleneck", config: { width: 1 } },
    origin: { kind: "trained", recipe: {} },
    created,
  },
  tensors: new Map([
    ["encoder.block.0.layer.0.adapter.down.weight", counted([1, 16], 0)],
    ["encoder.block.0.layer.0.layer_norm.weight", counted([16], 1)],
  ]),
};

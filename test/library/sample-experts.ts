import type { KeyEncoder } from "../../src/library/manifest.js";
import type { NewExpert } from "../../src/library/node/expert-folder.js";
import { tensor } from "../../src/tensors/tensor.js";

/** A base that need not be there. */
export const sampleBase = { id: "tiny", hash: "ab".repeat(32) };

/** An encoder of keys with three numbers. */
export const sampleEncoder: KeyEncoder = { id: "base-mean", width: 3 };

/** A new expert that differs by its name in every tensor. */
export function sampleExpert(name: string, more: Partial<NewExpert["manifest"]> = {}): NewExpert {
  const seed = [...name].reduce((sum, character) => sum + (character.codePointAt(0) ?? 0), 0);
  return {
    manifest: {
      name,
      task: "tickets",
      delta: { kind: "bottleneck", config: { width: 2 } },
      origin: { kind: "trained", recipe: { steps: 3 } },
      created: "2026-01-02T03:04:05.000Z",
      ...more,
    },
    tensors: new Map([
      ["encoder.adapter.down.weight", tensor("float32", [2, 3], Float32Array.from([1, 2, 3, 4, 5, seed]))],
      ["encoder.adapter.up.bias", tensor("float32", [3], Float32Array.from([0, -1, seed / 7]))],
    ]),
  };
}

/** The same with two keys, and their texts where they are given. */
export function sampleExpertWithKeys(name: string, texts?: readonly string[]): NewExpert {
  const vectors = tensor("float32", [2, 3], Float32Array.from([1, 0, 0, 0.5, -0.5, 0.25]));
  return { ...sampleExpert(name), keys: { encoder: sampleEncoder, vectors, texts } };
}

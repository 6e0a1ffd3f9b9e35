import { createRandom, hashText } from "../../src/core/random.js";
import { createDelta, type DeltaConfig } from "../../src/experts/delta-config.js";
import type { MixedExpert } from "../../src/experts/mixed.js";
import type { EncodedExample } from "../../src/mixtures/encoded-example.js";
import type { HookPoints } from "../../src/models/hooks.js";
import { elementCount, type Tensor } from "../../src/tensors/tensor.js";

/** Experts of all kinds; of a kind, two that differ in size or targets. */
export const configs: Readonly<Record<string, DeltaConfig>> = {
  "lora-small": { kind: "lora", config: { rank: 2, alpha: 3, targets: ["q", "v"] } },
  "lora-large": {
    kind: "lora",
    config: { rank: 4, alpha: 4, rankStabilized: true, targets: ["q", "k", "wi_0", "wo"] },
  },
  "bottleneck-small": { kind: "bottleneck", config: { width: 2 } },
  "bottleneck-large": { kind: "bottleneck", config: { width: 5 } },
  "ia3-all": { kind: "ia3", config: {} },
  "ia3-keys": { kind: "ia3", config: { targets: ["k"], feedForwardTargets: [] } },
  "lora-embedding": { kind: "lora", config: { rank: 3, alpha: 9, targets: ["encoder.embed_tokens", "o"] } },
};

/** An expert far from the base: every tensor matters. */
export function randomExpert(id: string, delta: DeltaConfig, points: HookPoints): MixedExpert {
  const tensors = createDelta(delta, points).parameters.map(({ name, shape }): [string, Tensor] => {
    const random = createRandom(21, hashText(`${id} ${name}`));
    const center = name.endsWith("norm.weight") || name.endsWith("ia3_l") ? 1 : 0;
    const data = Float32Array.from({ length: elementCount(shape) }, () => center + 0.25 * random.nextNormal());
    return [name, { dtype: "float32", shape, data }];
  });
  return { id, delta, tensors: new Map(tensors) };
}

/** All of `configs`. */
export function randomExperts(points: HookPoints): MixedExpert[] {
  return Object.entries(configs).map(([id, delta]) => randomExpert(id, delta, points));
}

/** Ragged examples of a vocabulary of 64, every third one with choices. */
export function raggedExample(index: number): EncodedExample {
  const random = createRandom(31, index);
  const draw = (length: number): Int32Array =>
    Int32Array.from({ length }, (_, position) => (position === length - 1 ? 1 : 2 + random.nextInteger(60)));
  const input = draw(2 + random.nextInteger(7));
  return index % 3 === 2
    ? { input, targets: [draw(2), draw(1), draw(3)], correct: 1 }
    : { input, targets: [draw(1 + random.nextInteger(4))], correct: 0 };
}

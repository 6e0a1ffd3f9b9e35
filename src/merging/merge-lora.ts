import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import { type LoraConfig, loraConfigSchema, loraScale } from "../experts/lora.js";
import type { Tensor } from "../tensors/tensor.js";
import { combineTensors, expectSameNames, finiteTensor, type WeightedTensors } from "./combine-tensors.js";
import type { MergedDelta } from "./merged-delta.js";

/** A LoRA expert that goes into a merge. */
export interface WeightedLora extends WeightedTensors {
  readonly config: LoraConfig;
}

/**
 * Adds up low-rank products: exactly, or as PEFT's `linear` (peft 0.21.2 `add_weighted_adapter`), whose names the methods keep. As there, the
 * merged delta has `alpha = rank`, so that its own scale is 1, and a negative weight shows in A alone.
 * @throws CadreError `mismatch` for different targets, names, shapes, or (`linear`) ranks; `non-finite`.
 */
export function mergeLora(experts: readonly WeightedLora[], method: "cat" | "linear"): MergedDelta {
  const first = at(experts, 0);
  const configs = experts.map(({ config }) => loraConfigSchema.parse(config));
  const { targets, rank } = at(configs, 0);
  configs.forEach((config, index) => {
    const { id } = at(experts, index);
    const differ = (what: string, one: string, other: string): CadreError =>
      new CadreError(
        "mismatch",
        `merge: expected LoRA experts of the same ${what}, got ${one} of "${first.id}" and ${other} of "${id}"`,
        {
          details: { experts: [first.id, id] },
        },
      );
    if (config.targets.toSorted().join() !== targets.toSorted().join()) {
      throw differ("targets", targets.join(", "), config.targets.join(", "));
    }
    if (method === "linear" && config.rank !== rank) {
      throw differ("rank (or cat instead of linear)", `${rank}`, `${config.rank}`);
    }
    expectRank(at(experts, index), config.rank);
  });
  expectSameNames(experts);
  const factors = experts.map(({ weight, config }) => weight * loraScale(config));
  const names = [...first.tensors.keys()];
  if (method === "linear") {
    const withFactors = (signed: boolean): WeightedTensors[] =>
      experts.map((expert, index) => {
        const factor = at(factors, index);
        return { ...expert, weight: Math.sqrt(Math.abs(factor)) * (signed && factor < 0 ? -1 : 1) };
      });
    return {
      delta: { kind: "lora", config: { rank, alpha: rank, targets } },
      tensors: new Map(names.map((name) => [name, combineTensors(name, withFactors(isA(name)))])),
    };
  }
  const ranks = configs.reduce((sum, config) => sum + config.rank, 0);
  return {
    delta: { kind: "lora", config: { rank: ranks, alpha: ranks, targets } },
    tensors: new Map(
      names.map((name) => {
        const parts = experts.map((expert) => finiteTensor(expert, name));
        return [name, isA(name) ? stackRows(name, parts, factors) : joinColumns(name, parts)];
      }),
    ),
  };
}

function isA(name: string): boolean {
  return name.endsWith(".lora_A.weight") || name.endsWith(".lora_embedding_A");
}

function expectRank({ id, tensors }: WeightedLora, rank: number): void {
  for (const [name, { shape }] of tensors) {
    const found = shape.length === 2 ? shape[isA(name) ? 0 : 1] : undefined;
    if (found !== rank) {
      throw new CadreError(
        "mismatch",
        `merge: "${id}": expected "${name}" of rank ${rank} as in its configuration, got [${shape.join(", ")}]`,
      );
    }
  }
}

/** The A of all experts, one below the other, each times its factor. */
function stackRows(name: string, parts: readonly Tensor<"float64">[], factors: readonly number[]): Tensor<"float32"> {
  const columns = commonSize(name, parts, 1);
  const data = parts.flatMap((part, index) => Array.from(part.data, (value) => at(factors, index) * value));
  return { dtype: "float32", shape: [data.length / columns, columns], data: Float32Array.from(data) };
}

/** The B of all experts, side by side. */
function joinColumns(name: string, parts: readonly Tensor<"float64">[]): Tensor<"float32"> {
  const rows = commonSize(name, parts, 0);
  const data = Array.from({ length: rows }, (_, row) =>
    parts.flatMap(({ shape, data: values }) =>
      Array.from(values.subarray(row * at(shape, 1), (row + 1) * at(shape, 1))),
    ),
  ).flat();
  return { dtype: "float32", shape: [rows, data.length / rows], data: Float32Array.from(data) };
}

/** The size that the parts share beside the rank. */
function commonSize(name: string, parts: readonly Tensor<"float64">[], axis: 0 | 1): number {
  const sizes = parts.map(({ shape }) => at(shape, axis));
  const size = at(sizes, 0);
  if (sizes.some((other) => other !== size)) {
    throw new CadreError(
      "mismatch",
      `merge: "${name}": expected one size beside the rank, got ${[...new Set(sizes)].join(" and ")}; are these experts of one base?`,
    );
  }
  return size;
}

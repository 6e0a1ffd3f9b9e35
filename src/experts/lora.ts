import * as z from "zod";
import { CadreError } from "../core/errors.js";
import { parseConfig } from "../core/parse-config.js";
import { graphOf, type Value } from "../graph/graph.js";
import { add } from "../graph/ops/elementwise.js";
import { gatherRows } from "../graph/ops/gather.js";
import { asMatrix, gemm, matmul } from "../graph/ops/matmul.js";
import { transpose } from "../graph/ops/shape-ops.js";
import type { Delta } from "../models/delta.js";
import type { HookPoints } from "../models/hooks.js";
import type { ParameterSpec } from "../models/parameter.js";

/** Configuration of a LoRA delta. */
export const loraConfigSchema = z.strictObject({
  /** Width of the low-rank product. */
  rank: z.int().min(1),
  /** The product is scaled by `alpha / rank`. */
  alpha: z.number().positive(),
  /** Scale by `alpha / √rank` instead (rsLoRA, Kalajdzievski 2023). */
  rankStabilized: z.boolean().default(false),
  /** Last names of the projections, as PEFT's `target_modules`: q, k, v, o, wi_0, wi_1, wi, wo; and whole names of embeddings: encoder.embed_tokens. */
  targets: z.array(z.string()).min(1).default(["q", "v"]),
});

/** What a caller writes. */
export type LoraConfig = z.input<typeof loraConfigSchema>;

/**
 * Low-rank adaptation (Hu et al. 2021; PEFT `LoraConfig`): a projection `x Wᵀ` gains `scale · (x Aᵀ) Bᵀ`, `A [rank, inputs]`,
 * `B [outputs, rank]`. A starts with the variance of PyTorch's linear layers, B at zero. An embedding gains `scale · A[:, id] Bᵀ`, `A [rank, pieces]`,
 * `B [width, rank]`; there A starts at zero and B at random, as in PEFT.
 *
 * @throws CadreError `invalid-argument` where a target is no projection of the model.
 */
export function lora(config: LoraConfig, points: HookPoints): Delta {
  const { rank, targets } = parseLoraConfig(config);
  const scale = loraScale(config);
  const modules = loraModules(points);
  const available = new Set(modules.map(({ target }) => target));
  for (const target of targets) {
    if (!available.has(target)) {
      throw new CadreError(
        "invalid-argument",
        `lora: expected targets among ${[...available].join(", ")}, got "${target}"`,
      );
    }
  }
  const adapted = modules.filter(({ target }) => targets.includes(target));
  const byName = new Map(adapted.map((module) => [module.name, module]));
  const parameters = adapted.flatMap(({ lookedUp, inputs, outputs, a, b }): ParameterSpec[] => {
    const zeros = { kind: "zeros" } as const;
    const normal = (standardDeviation: number) => ({ kind: "normal", standardDeviation }) as const;
    // In front of an embedding's B, a unit change of A moves the embedding by about its own size.
    return lookedUp
      ? [
          { name: a, shape: [rank, inputs], initializer: zeros },
          { name: b, shape: [outputs, rank], initializer: normal(1 / Math.sqrt(rank)) },
        ]
      : [
          { name: a, shape: [rank, inputs], initializer: normal(1 / Math.sqrt(3 * inputs)) },
          { name: b, shape: [outputs, rank], initializer: zeros },
        ];
  });
  return {
    kind: "lora",
    parameters,
    hooks: (tensor) => ({
      embedding: ({ name, ids, output }) => {
        const module = byName.get(name);
        if (module === undefined) {
          return output;
        }
        // [rows, length, rank]
        const narrow = gatherRows(transpose(tensor(module.a), [1, 0]), ids);
        return add(output, matmul(narrow, tensor(module.b), { transposeB: true, alpha: scale }));
      },
      linear: ({ name, input, weight, output }) => {
        const module = byName.get(name);
        return module === undefined
          ? output
          : loraLinear(input, weight, { a: tensor(module.a), b: tensor(module.b), scale });
      },
    }),
  };
}

/** What LoRA can adapt: a projection or an embedding. */
export interface LoraModule {
  /** As hooks know it: the weight of a projection, the module of an embedding. */
  readonly name: string;
  /** What a configuration calls it. */
  readonly target: string;
  /** Whether it is an embedding, of which a position takes one column of A. */
  readonly lookedUp: boolean;
  readonly inputs: number;
  readonly outputs: number;
  /** Names of the tensors, PEFT's without its prefix: `[rank, inputs]` and `[outputs, rank]`. */
  readonly a: string;
  readonly b: string;
}

/** All that LoRA can adapt in a model. */
export function loraModules({ linears, embeddings }: HookPoints): LoraModule[] {
  return [
    ...linears.map(({ name, inputs, outputs }) => ({
      ...{ name, target: lastName(name), lookedUp: false, inputs, outputs },
      ...{ a: loraTensorName(name, "lora_A"), b: loraTensorName(name, "lora_B") },
    })),
    ...embeddings.map(({ name, pieces, width }) => ({
      ...{ name, target: name, lookedUp: true, inputs: pieces, outputs: width },
      ...{ a: embeddingTensorName(name, "A"), b: embeddingTensorName(name, "B") },
    })),
  ];
}

/** The factor of the low-rank product. */
export function loraScale(config: LoraConfig): number {
  const { rank, alpha, rankStabilized } = parseLoraConfig(config);
  return alpha / (rankStabilized ? Math.sqrt(rank) : rank);
}

function parseLoraConfig(config: LoraConfig): z.output<typeof loraConfigSchema> {
  return parseConfig(loraConfigSchema, config, { where: "lora: expected a configuration", code: "invalid-argument" });
}

/**
 * `x (W + scale · B A)ᵀ`: with the many tokens of a training batch, adding the small product to the weight costs far less than adding
 * `scale · (x Aᵀ) Bᵀ` to every output, forward and backward. The gradients of A and B still come from products of rank width.
 */
function loraLinear(
  input: Value,
  weight: Value,
  { a, b, scale }: { readonly a: Value; readonly b: Value; readonly scale: number },
): Value {
  const { merged, output } = graphOf("lora", input, weight, a, b).untaped(() => {
    const sum = gemm(b, a, weight, { alpha: scale });
    return { merged: sum, output: matmul(input, sum, { transposeB: true }) };
  });
  output.graph.record({
    label: "lora",
    inputs: [input, weight, a, b],
    outputs: [output],
    backward: ([gradient], needed) => {
      if (gradient === undefined) {
        return [];
      }
      const rows = asMatrix(input);
      const gradientRows = asMatrix(gradient);
      return [
        needed[0] ? matmul(gradient, merged) : undefined,
        needed[1] ? matmul(gradientRows, rows, { transposeA: true }) : undefined,
        needed[2] ? matmul(matmul(gradientRows, b), rows, { transposeA: true, alpha: scale }) : undefined,
        needed[3]
          ? matmul(gradientRows, matmul(rows, a, { transposeB: true }), { transposeA: true, alpha: scale })
          : undefined,
      ];
    },
  });
  return output;
}

/** `loraLinear` of several experts: `input [experts, positions, inputs]`, `a [experts, rank, inputs]`, `b [experts, outputs, rank]`. */
export function stackedLoraLinear(
  input: Value,
  weight: Value,
  { a, b, scale }: { readonly a: Value; readonly b: Value; readonly scale: number },
): Value {
  const { merged, output } = graphOf("lora", input, weight, a, b).untaped(() => {
    const sum = add(matmul(b, a, { alpha: scale }), weight);
    return { merged: sum, output: matmul(input, sum, { transposeB: true }) };
  });
  output.graph.record({
    label: "stackedLora",
    inputs: [input, weight, a, b],
    outputs: [output],
    backward: ([gradient], needed) => {
      if (gradient === undefined) {
        return [];
      }
      return [
        needed[0] ? matmul(gradient, merged) : undefined,
        needed[1] ? matmul(asMatrix(gradient), asMatrix(input), { transposeA: true }) : undefined,
        needed[2] ? matmul(matmul(gradient, b), input, { transposeA: true, alpha: scale }) : undefined,
        needed[3]
          ? matmul(gradient, matmul(input, a, { transposeB: true }), { transposeA: true, alpha: scale })
          : undefined,
      ];
    },
  });
  return output;
}

/** `….q.weight` → `q`. */
export function lastName(weight: string): string {
  return weight.split(".").at(-2) ?? weight;
}

/** PEFT's name without its prefix. */
export function embeddingTensorName(embedding: string, part: "A" | "B"): string {
  return `${embedding}.lora_embedding_${part}`;
}

/** `….q.weight` → `….q.lora_A.weight`, PEFT's name without its prefix. */
export function loraTensorName(weight: string, part: "lora_A" | "lora_B"): string {
  return weight.replace(/weight$/, `${part}.weight`);
}

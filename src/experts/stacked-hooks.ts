import type { Value } from "../graph/graph.js";
import { geluTanh } from "../graph/ops/activations.js";
import { add, mul, sub } from "../graph/ops/elementwise.js";
import { gatherRows } from "../graph/ops/gather.js";
import { matmul } from "../graph/ops/matmul.js";
import { reshape, transpose } from "../graph/ops/shape-ops.js";
import { sizeAt } from "../graph/shape.js";
import type { Hooks } from "../models/hooks.js";
import type { Grouping } from "./grouping.js";
import type { Ia3Vector } from "./ia3.js";
import { embeddingTensorName, loraTensorName, stackedLoraLinear } from "./lora.js";

/** What the hooks of a kind are made from. */
export interface StackedHooksOptions {
  /** The stack `[experts, ...]` of a tensor; undefined where no expert has it. */
  readonly stack: (name: string) => Value | undefined;
  readonly grouping: Grouping;
}

/**
 * Adds `scale · Σ weight · (x Aᵀ) Bᵀ` to projections. Where every group has one expert of weight 1, the products are added to a copy of the
 * projection's weight for each expert instead, which costs less than adding them to every output.
 */
export function stackedLora({ stack, grouping }: StackedHooksOptions, scale: number): Hooks {
  return {
    embedding: ({ name, ids, output, segments }) => {
      const [a, b] = [stack(embeddingTensorName(name, "A")), stack(embeddingTensorName(name, "B"))];
      if (a === undefined || b === undefined) {
        return output;
      }
      const [experts = 0, rank = 0, pieces = 0] = [0, 1, 2].map((axis) => sizeAt(a.shape, axis, "experts"));
      const { graph } = ids;
      const { perGroup } = grouping;
      const grouped = grouping.group(reshape(ids, [...ids.shape, 1]));
      const [groups, positions] = [sizeAt(grouped.shape, 0, "experts"), sizeAt(grouped.shape, 1, "experts")];
      const first = mul(reshape(grouping.experts(graph), [groups, 1, perGroup]), graph.scalar("int32", pieces));
      // [experts, rank, pieces] → [experts · pieces, rank], looked up at [groups, positions, perGroup]
      const table = reshape(transpose(a, [0, 2, 1]), [experts * pieces, rank]);
      const found = reshape(gatherRows(table, add(grouped, first)), [groups, positions, perGroup * rank]);
      const narrow = scale === 1 ? found : mul(found, graph.scalar("float32", scale));
      return add(output, grouping.ungroup(throughUp(weighed(narrow, segments, grouping), b, grouping), output));
    },
    linear: ({ name, input, weight, output, segments }) => {
      const [a, b] = [stack(loraTensorName(name, "lora_A")), stack(loraTensorName(name, "lora_B"))];
      if (a === undefined || b === undefined) {
        return output;
      }
      if (grouping.weights(segments) === undefined) {
        return grouping.ungroup(stackedLoraLinear(grouping.group(input), weight, { a, b, scale }), output);
      }
      const narrow = matmul(grouping.group(input), joinedDown(a, grouping), { transposeB: true, alpha: scale });
      return add(output, grouping.ungroup(throughUp(weighed(narrow, segments, grouping), b, grouping), output));
    },
  };
}

/** Adds `Σ weight · branch(x)` to sub-layers and `Σ weight · (gain − base's gain)` to the gains of normalisations. */
export function stackedBottleneck({ stack, grouping }: StackedHooksOptions): Hooks {
  return {
    norm: ({ name, weight, output, segments, unweighted }) => {
      const gains = stack(name);
      if (gains === undefined) {
        return output;
      }
      const gain = combined(gains, weight, segments, grouping);
      return grouping.ungroup(mul(grouping.group(unweighted()), gain), output);
    },
    afterSubLayer: ({ path }, output, segments) => {
      const part = (name: string) => stack(`${path}.adapter.${name}`);
      const [down, downBias] = [part("down.weight"), part("down.bias")];
      const [up, upBias] = [part("up.weight"), part("up.bias")];
      if (down === undefined || downBias === undefined || up === undefined || upBias === undefined) {
        return output;
      }
      const bias = grouping.select(downBias);
      const [groups, width] = [sizeAt(bias.shape, 0, "experts"), sizeAt(bias.shape, 2, "experts")];
      const narrow = geluTanh(
        add(
          matmul(grouping.group(output), joinedDown(down, grouping), { transposeB: true }),
          reshape(bias, [groups, 1, grouping.perGroup * width]),
        ),
      );
      const wide = throughUp(weighed(narrow, segments, grouping), up, grouping);
      const branch = add(wide, combined(upBias, undefined, segments, grouping));
      return add(output, grouping.ungroup(branch, output));
    },
  };
}

/** Multiplies inputs or outputs of projections by `1 + Σ weight · (vector − 1)`. */
export function stackedIa3({ stack, grouping }: StackedHooksOptions, vectors: readonly Ia3Vector[]): Hooks {
  const byWeight = new Map(vectors.map((vector) => [vector.weight, vector]));
  return {
    linear: ({ name, input, weight, output, segments }) => {
      const vector = byWeight.get(name);
      const found = vector && stack(vector.name);
      if (vector === undefined || found === undefined) {
        return output;
      }
      const flat = reshape(found, [sizeAt(found.shape, 0, "experts"), vector.size]);
      const factor = combined(flat, found.graph.scalar("float32", 1), segments, grouping);
      const scaled = (value: Value): Value => grouping.ungroup(mul(grouping.group(value), factor), value);
      return vector.scales === "input" ? matmul(scaled(input), weight, { transposeB: true }) : scaled(output);
    },
  };
}

/** One after the other, each given the output of the one before. */
export function composeHooks(all: readonly Hooks[]): Hooks {
  return {
    linear: (projection) =>
      all.reduce((output, { linear }) => linear?.({ ...projection, output }) ?? output, projection.output),
    embedding: (embedding) =>
      all.reduce((output, { embedding: next }) => next?.({ ...embedding, output }) ?? output, embedding.output),
    norm: (normalization) =>
      all.reduce((output, { norm }) => norm?.({ ...normalization, output }) ?? output, normalization.output),
    afterSubLayer: (subLayer, before, segments) =>
      all.reduce((output, { afterSubLayer }) => afterSubLayer?.(subLayer, output, segments) ?? output, before),
  };
}

/** `[experts, narrow, wide]` → `[groups, perGroup · narrow, wide]`: the experts of a group as one wider projection. */
function joinedDown(stack: Value, { select, perGroup }: Grouping): Value {
  const chosen = select(stack);
  const [groups = 0, narrow = 0, wide = 0] = [0, 2, 3].map((axis) => sizeAt(chosen.shape, axis, "experts"));
  return reshape(chosen, [groups, perGroup * narrow, wide]);
}

/** `[groups, positions, perGroup · narrow]` through `[experts, wide, narrow]`, which sums over a group's experts. */
function throughUp(narrow: Value, stack: Value, { select, perGroup }: Grouping): Value {
  const chosen = select(stack);
  const [groups = 0, wide = 0, each = 0] = [0, 2, 3].map((axis) => sizeAt(chosen.shape, axis, "experts"));
  return perGroup === 1
    ? matmul(narrow, reshape(chosen, [groups, wide, each]), { transposeB: true })
    : matmul(narrow, reshape(transpose(chosen, [0, 1, 3, 2]), [groups, perGroup * each, wide]));
}

/** Multiplies each expert's part of `[groups, positions, perGroup · narrow]` by its weight. */
function weighed(narrow: Value, segments: Value, { weights, perGroup }: Grouping): Value {
  const found = weights(segments);
  if (found === undefined) {
    return narrow;
  }
  const [groups = 0, positions = 0, joined = 0] = narrow.shape.map((_, axis) => sizeAt(narrow.shape, axis, "experts"));
  const parts = reshape(narrow, [groups, positions, perGroup, joined / perGroup]);
  return reshape(mul(parts, reshape(found, [groups, positions, perGroup, 1])), narrow.shape);
}

/** Vectors `[experts, size]` as `neutral + Σ weight · (vector − neutral)`, which broadcasts to `[groups, positions, size]`; neutral 0 by default. */
function combined(stack: Value, neutral: Value | undefined, segments: Value, { select, weights }: Grouping): Value {
  const chosen = select(stack);
  const found = weights(segments);
  if (found === undefined) {
    return chosen;
  }
  return neutral === undefined ? matmul(found, chosen) : add(matmul(found, sub(chosen, neutral)), neutral);
}

import { at } from "../core/at.js";
import type { Graph, Value } from "../graph/graph.js";
import { add, cast, compare } from "../graph/ops/elementwise.js";
import { gatherNode, gatherRows } from "../graph/ops/gather.js";
import { matmul } from "../graph/ops/matmul.js";
import { reshape } from "../graph/ops/shape-ops.js";
import { fixedElementCount, sizeAt } from "../graph/shape.js";

/** How the positions of a batch find their experts' tensors in stacks `[experts, ...]`. */
export interface Grouping {
  /** Experts that the positions of a group may use. */
  readonly perGroup: number;
  /** Their numbers in the stacks, `[groups, perGroup]` int32. */
  readonly experts: (graph: Graph) => Value;
  /** `[rows, length, width]` → `[groups, positions, width]`. */
  readonly group: (value: Value) => Value;
  /** The other way; `like` is any value of the rows and length that were grouped. */
  readonly ungroup: (value: Value, like: Value) => Value;
  /** A stack `[experts, ...]` → `[groups, perGroup, ...]`. */
  readonly select: (stack: Value) => Value;
  /** How much each of its group's experts counts for a position, `[groups, positions, perGroup]`; undefined: there is one, and it counts 1. */
  readonly weights: (segments: Value) => Value | undefined;
}

/**
 * Every row names `perRow` experts, and every one of its examples weighs them: `rowExperts [rows, perRow]` int32,
 * `segmentWeights [rows, segments + 1, perRow]` float32, zeros at 0 for padding.
 */
export function groupByRow(rowExperts: Value, segmentWeights: Value): Grouping {
  const [rows, perRow] = [sizeAt(rowExperts.shape, 0, "experts"), sizeAt(rowExperts.shape, 1, "experts")];
  const segments = sizeAt(segmentWeights.shape, 1, "experts");
  const table = reshape(segmentWeights, [rows * segments, perRow]);
  const { graph } = rowExperts;
  const firstOfRow = graph.constant({
    dtype: "int32",
    shape: [rows, 1],
    data: Int32Array.from({ length: rows }, (_, row) => row * segments),
  });
  const choices = new Map<number, Value>();
  const weights = new Map<Value, Value>();
  return {
    perGroup: perRow,
    experts: () => rowExperts,
    group: (value) => value,
    ungroup: (value) => value,
    select: (stack) => {
      const experts = sizeAt(stack.shape, 0, "experts");
      const chosen = choices.get(experts) ?? oneHot(rowExperts, experts);
      choices.set(experts, chosen);
      return selectRows(stack, rowExperts, chosen);
    },
    weights: (segmentIds) => {
      // [rows, length] → [rows, length, perRow]
      const found = weights.get(segmentIds) ?? gatherRows(table, add(segmentIds, firstOfRow));
      weights.set(segmentIds, found);
      return found;
    },
  };
}

/** The rows of a batch belong to the experts in equal shares, in order. Stacks are used where they lie, without a copy. */
export function groupByBlock(experts: number): Grouping {
  return {
    perGroup: 1,
    experts: (graph) =>
      graph.constant({
        dtype: "int32",
        shape: [experts, 1],
        data: Int32Array.from({ length: experts }, (_, index) => index),
      }),
    group: (value) => {
      const width = sizeAt(value.shape, -1, "experts");
      return reshape(value, [experts, fixedElementCount(value.shape, "experts") / (experts * width), width]);
    },
    ungroup: (value, like) => reshape(value, [...like.shape.slice(0, -1), sizeAt(value.shape, -1, "experts")]),
    select: (stack) => reshape(stack, [at(stack.shape, 0), 1, ...stack.shape.slice(1)]),
    weights: () => undefined,
  };
}

/** `[rows, perRow]` → `[rows · perRow, experts]`: 1 at the expert, else 0. */
function oneHot(rowExperts: Value, experts: number): Value {
  const numbers = rowExperts.graph.constant({
    dtype: "int32",
    shape: [1, experts],
    data: Int32Array.from({ length: experts }, (_, index) => index),
  });
  const column = reshape(rowExperts, [fixedElementCount(rowExperts.shape, "experts"), 1]);
  return cast(compare("Equal", column, numbers), "float32");
}

/**
 * `stack[rowExperts]`. Its gradient is a product with the one-hot choices: a scatter takes about 10 ns an element, on one thread, and every
 * row adds to all elements of its experts.
 */
function selectRows(stack: Value, rowExperts: Value, chosen: Value): Value {
  const output = gatherNode(stack, rowExperts);
  const [experts, size] = [sizeAt(stack.shape, 0, "experts"), fixedElementCount(stack.shape.slice(1), "experts")];
  output.graph.record({
    label: "selectRows",
    inputs: [stack],
    outputs: [output],
    backward: ([gradient]) => [
      gradient &&
        reshape(matmul(chosen, reshape(gradient, [sizeAt(chosen.shape, 0, "experts"), size]), { transposeA: true }), [
          experts,
          ...stack.shape.slice(1),
        ]),
    ],
  });
  return output;
}

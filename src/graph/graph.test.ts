import { describe, expect, test } from "vitest";
import { numbersOf, runGraph, shapeOf, tensorOf } from "../../test/graph/run-graph.js";
import { CadreError } from "../core/errors.js";
import { Graph, type Value } from "./graph.js";
import { attention, attentionBias } from "./ops/attention.js";
import { linearLogProbability } from "./ops/cross-entropy.js";
import { add, compare, logical, mul, where } from "./ops/elementwise.js";
import { gatherElements, gatherRows, scatterAddRows } from "./ops/gather.js";
import { gemm, matmul } from "./ops/matmul.js";
import { layerNorm, rmsNorm } from "./ops/normalization.js";
import { reduceMean, reduceSum } from "./ops/reduce.js";
import { concat, expand, reshape, slice, split, transpose } from "./ops/shape-ops.js";
import { softmax } from "./ops/softmax.js";
import type { Shape } from "./shape.js";

/** A float32 input of a shape; each call has a name of its own. */
function shaped(graph: Graph, ...shape: Shape): Value {
  return graph.input(graph.uniqueName("x"), "float32", shape);
}

const graph = new Graph();
const x = (...shape: Shape) => shaped(graph, ...shape);
const ids = (...shape: Shape) => graph.input(graph.uniqueName("ids"), "int64", shape);

describe("errors name the operation, what it expects and what it got", () => {
  const cases: [message: string, build: () => unknown][] = [
    ["add: expected shapes that broadcast, got [2, 3] and [4]", () => add(x(2, 3), x(4))],
    ["add: expected shapes that broadcast, got [batch, 3] and [length, 3]", () => add(x("batch", 3), x("length", 3))],
    ["mul: expected operands of one dtype, got float32 [2] and int64 [2]", () => mul(x(2), ids(2))],
    ["where: expected a condition of bool, got float32", () => where(x(2), x(2), x(2))],
    ["And: expected the right side of bool, got float32", () => logical("And", compare("Less", x(2), 1), x(2))],
    ["reduceSum: expected an axis between -2 and 1, got 2", () => reduceSum(x(2, 3), [2])],
    ["reduceMean: expected a fixed size at axis 0, got [n, 3]", () => reduceMean(x("n", 3))],
    ["softmax: expected an axis between -1 and 0, got 1", () => softmax(x(3), 1)],
    ["reshape: expected as many elements as [2, 3], got [4, 2]", () => reshape(x(2, 3), [4, 2])],
    ["reshape: expected as many elements as [batch, 6], got [length, 6]", () => reshape(x("batch", 6), ["length", 6])],
    ["transpose: expected a permutation of the 2 axes of [2, 3], got [0, 0]", () => transpose(x(2, 3), [0, 0])],
    ["transpose: expected a permutation of the 2 axes of [2, 3], got [0]", () => transpose(x(2, 3), [0])],
    ["expand: expected a shape to which [2, 3] broadcasts, got [2, 1]", () => expand(x(2, 3), [2, 1])],
    [
      "slice: expected 0 ≤ start < end ≤ 3 at axis 1 of [2, 3], got 1 and 4",
      () => slice(x(2, 3), { axis: -1, start: 1, end: 4 }),
    ],
    ["concat: expected at least one value, got none", () => concat([], 0)],
    ["concat: expected float32 [2, 3] except at axis 0, got float32 [2, 4]", () => concat([x(2, 3), x(2, 4)], 0)],
    ["split: expected sizes that add up to axis 1 of [2, 3], got [1, 1]", () => split(x(2, 3), [1, 1], 1)],
    [
      "matmul: expected [..., m, k] · [..., k, n] of one dtype, got float32 [2, 3] · float32 [4, 3]",
      () => matmul(x(2, 3), x(4, 3)),
    ],
    [
      "matmul: expected [..., m, k] · [..., k, n] of one dtype, got float32 [2, 3]ᵀ · float32 [4, 3]ᵀ",
      () => matmul(x(2, 3), x(4, 3), { transposeA: true, transposeB: true }),
    ],
    ["matmul: expected shapes that broadcast, got [2] and [5]", () => matmul(x(2, 3, 4), x(5, 4, 3))],
    ["gemm: expected the left side of rank 2, got [1, 2, 3]", () => gemm(x(1, 2, 3), x(3, 4), x(4))],
    ["gemm: expected an addend that broadcasts to [2, 4], got [1, 2, 4]", () => gemm(x(2, 3), x(3, 4), x(1, 2, 4))],
    ["gatherRows: expected indices of int32 or int64, got float32", () => gatherRows(x(5, 2), x(3))],
    ["gatherRows: expected a table of rank 1 or more, got a scalar", () => gatherRows(x(), ids(3))],
    [
      "scatterAddRows: expected indices [count] and updates [count, ...[2]], got [3] and [4, 2]",
      () => scatterAddRows(x(5, 2), ids(3), x(4, 2)),
    ],
    [
      "gatherElements: expected indices like [5, 2] except at axis 1, got [4, 2]",
      () => gatherElements(x(5, 2), ids(4, 2), 1),
    ],
    ["rmsNorm: expected a weight of shape [3], got [2]", () => rmsNorm(x(2, 3), x(2), 1e-6)],
    ["layerNorm: expected a bias of shape [3], got [1, 3]", () => layerNorm(x(2, 3), x(3), x(1, 3), 1e-6)],
    [
      "attention: expected q [batch, heads, queries, headDim] and equal k and v, got [1, 2, 3], [1, 2, 3, 4], [1, 2, 3, 4]",
      () => attention(x(1, 2, 3), x(1, 2, 3, 4), x(1, 2, 3, 4)),
    ],
    [
      "attention: expected a bias that broadcasts to [1, 2, 3, 5], got [7, 2, 3, 5]",
      () => attention(x(1, 2, 3, 4), x(1, 2, 5, 4), x(1, 2, 5, 4), { bias: attentionBias(x(7, 2, 3, 5), undefined) }),
    ],
    ["attentionBias: expected a position bias or a mask, got neither", () => attentionBias(undefined, undefined)],
    [
      "linearLogProbability: expected hidden [tokens, d], head [vocabulary, d], targets [tokens], got [4, 2], [9, 3], [4]",
      () => linearLogProbability(x(4, 2), x(9, 3), ids(4)),
    ],
    [
      "linearLogProbability: expected targets of int32 or int64, got float32",
      () => linearLogProbability(x(4, 2), x(9, 2), x(4)),
    ],
    ['dimension: expected the name of an input\'s dimension, got "nowhere"', () => graph.dimension("nowhere")],
    ["add: expected values of one graph, got values of two", () => add(x(2), shaped(new Graph(), 2))],
    ["input: expected dimensions with sizes or names, got [?, 2]", () => x("?", 2)],
  ];

  test.each(cases)("%s", (message, build) => {
    try {
      build();
    } catch (error) {
      expect(CadreError.isInstance(error) && error.code).toBe("invalid-argument");
      expect(error instanceof Error && error.message).toBe(message);
      return;
    }
    throw new Error("expected an error");
  });

  test("names are used once", () => {
    const named = new Graph();
    const value = named.input("x", "float32", [2]);
    expect(() => named.input("x", "float32", [2])).toThrow('input: expected a new name, got "x" again');
    named.output("y", value);
    expect(() => named.output("y", value)).toThrow('output: expected a new name, got "y" again');
    expect(() => named.output("x", value)).toThrow('output: expected a new name, got "x" again');
    const tensor = tensorOf("float32", [1], [1]);
    named.constant(tensor, "c");
    expect(() => named.constant(tensor, "c")).toThrow('constant: expected a new name, got "c" again');
  });
});

describe("symbolic dimensions", () => {
  test("shapes are worked out with names", () => {
    const [a, b] = [x("batch", "length", 8), x(8, "width")];
    expect(matmul(a, b).shape).toEqual(["batch", "length", "width"]);
    expect(add(a, x("length", 1)).shape).toEqual(["batch", "length", 8]);
    expect(reshape(a, ["length", 2, "batch", 4]).shape).toEqual(["length", 2, "batch", 4]);
    expect(reduceSum(a, [1]).shape).toEqual(["batch", 8]);
    expect(concat([a, a], -1).shape).toEqual(["batch", "length", 16]);
  });

  test("one program runs at several sizes, with shapes from the inputs", async () => {
    const graph = new Graph();
    const a = graph.input("a", "float32", ["batch", "length", 4]);
    const b = graph.input("b", "float32", ["length", 1]);
    const heads = transpose(reshape(add(a, b), ["batch", "length", 2, 2]), [0, 2, 1, 3]);
    graph.output("scores", matmul(heads, heads, { transposeB: true }));
    graph.output("expanded", expand(b, ["batch", "length", "length"]));
    graph.output("size", graph.dimension("length"));
    for (const [batch, length] of [
      [2, 3],
      [1, 5],
    ] as const) {
      const outputs = await runGraph(graph, {
        a: tensorOf("float32", [batch, length, 4], new Float32Array(batch * length * 4).fill(1)),
        b: tensorOf("float32", [length, 1], new Float32Array(length).fill(2)),
      });
      expect(shapeOf(outputs, "scores")).toEqual([batch, 2, length, length]);
      expect(new Set(numbersOf(outputs, "scores"))).toEqual(new Set([18]));
      expect(shapeOf(outputs, "expanded")).toEqual([batch, length, length]);
      expect(numbersOf(outputs, "size")).toEqual([length]);
    }
  });
});

describe("reductions over no axis", () => {
  test("leave the shape alone", async () => {
    const graph = new Graph();
    const a = graph.input("a", "float32", [2]);
    graph.output("y", reduceSum(a, []));
    const outputs = await runGraph(graph, { a: tensorOf("float32", [2], [1, 2]) });
    expect(numbersOf(outputs, "y")).toEqual([1, 2]);
  });
});

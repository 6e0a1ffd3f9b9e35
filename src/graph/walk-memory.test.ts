import { expect, test } from "vitest";
import { gradients } from "./gradients.js";
import { Graph, type Value } from "./graph.js";
import { loop } from "./loop.js";
import { add, mul, tanh } from "./ops/elementwise.js";
import { matmul } from "./ops/matmul.js";
import { reduceSum } from "./ops/reduce.js";
import { reshape } from "./ops/shape-ops.js";
import { recomputed } from "./recompute.js";
import { peakMemory } from "./walk-memory.test.helpers.js";

/** Bytes of a float32 matrix. */
const MATRIX = 4 * 8 * 8;

function withInput(build: (input: Value, graph: Graph) => Value): Graph {
  const graph = new Graph();
  graph.output("y", build(graph.input("x", "float32", [8, 8]), graph));
  return graph;
}

test.each<[string, number, (input: Value) => Value]>([
  ["one result", 1, (x) => matmul(x, x)],
  ["a result is gone once it has been read", 2, (x) => matmul(matmul(matmul(x, x), x), x)],
  [
    "two that are read later",
    3,
    (x) => {
      const [a, b] = [matmul(x, x), matmul(x, x)];
      return matmul(a, b);
    },
  ],
  ["element by element in place", 2, (x) => matmul(tanh(tanh(matmul(x, x))), x)],
  [
    "not in place of what is read again",
    3,
    (x) => {
      const a = matmul(x, x);
      return matmul(tanh(a), a);
    },
  ],
  ["another shape is no copy", 2, (x) => matmul(reshape(reshape(matmul(x, x), [64]), [8, 8]), x)],
  [
    "what no output needs does not count",
    1,
    (x) => {
      matmul(matmul(x, x), x);
      return matmul(x, x);
    },
  ],
])("%s", (_, matrices, build) => {
  expect(peakMemory(withInput(build))).toBe(matrices * MATRIX);
});

test("memory is kept for a later result of the same form, and goes back where there is none", () => {
  const build = (x: Value): Value => {
    const ones = (...shape: [number, number]) =>
      x.graph.constant({ dtype: "float32", shape, data: new Float32Array(shape[0] * shape[1]).fill(1) });
    return reduceSum(matmul(matmul(matmul(x, x), ones(8, 1)), ones(1, 16)));
  };
  const [column, wide] = [MATRIX / 8, 2 * MATRIX];
  expect(peakMemory(withInput(build))).toBe(column + wide);
  expect(peakMemory(withInput((x) => matmul(mul(x, build(x)), x)))).toBe(MATRIX + column + wide);
});

test("a loop counts with its body and what it carries, and its result when the body has ended", () => {
  const graph = withInput((x, outer) => {
    const body = { graph: outer, steps: 3, carried: [matmul(x, x)], sequences: [] };
    const { carried } = loop({
      ...body,
      body: ({ carried: [own = x] }) => ({ carried: [matmul(matmul(own, x), x)], collected: [] }),
    });
    return add(carried[0] ?? x, x);
  });
  // First value; inside what the step before left, and two products; at the end its last two and the result.
  expect(peakMemory(graph)).toBe(4 * MATRIX);
});

test("recomputation keeps a segment's input instead of what lies inside", () => {
  const peak = (depth: number, recompute: boolean): number => {
    const graph = new Graph();
    const weight = graph.input("w", "float32", [8, 8]);
    let states = graph.input("x", "float32", [8, 8]);
    for (let block = 0; block < depth; block++) {
      const input = states;
      const layers = (): Value => [1, 2, 3, 4].reduce((value) => tanh(matmul(value, weight)), input);
      states = recompute ? recomputed(graph, layers) : layers();
    }
    const loss = reduceSum(mul(states, states));
    graph.output("loss", loss);
    const [gradient] = gradients(loss, [weight]);
    graph.output("g", gradient ?? loss);
    return peakMemory(graph);
  };
  const growth = (recompute: boolean) => (peak(12, recompute) - peak(8, recompute)) / 4 / MATRIX;
  expect(growth(false)).toBeGreaterThan(3.5);
  expect(growth(true)).toBeLessThan(1.5);
});

test("symbolic sizes are refused", () => {
  const graph = new Graph();
  graph.output("y", tanh(graph.input("x", "float32", ["batch", 8])));
  expect(() => peakMemory(graph)).toThrow(/fixed size/);
});

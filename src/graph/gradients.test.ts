import { describe, expect, test } from "vitest";
import { numbersOf, runGraph, scalarOf, tensorOf } from "../../test/graph/run-graph.js";
import { gradients } from "./gradients.js";
import { Graph, stopGradient, type Value } from "./graph.js";
import { attention } from "./ops/attention.js";
import { add, compare, exp, maximum, mul, sub, tanh, where } from "./ops/elementwise.js";
import { gatherRows } from "./ops/gather.js";
import { matmul } from "./ops/matmul.js";
import { rmsNorm } from "./ops/normalization.js";
import { reduceMax, reduceSum } from "./ops/reduce.js";
import { concat, split } from "./ops/shape-ops.js";

const scalar = (graph: Graph, name: string): Value => graph.input(name, "float64", []);

/** The gradients of a loss at given scalar inputs; undefined where there is none. */
async function gradientsAt(
  numbers: Record<string, number>,
  build: (values: Value[]) => Value,
): Promise<(number | undefined)[]> {
  const graph = new Graph();
  const values = Object.keys(numbers).map((name) => scalar(graph, name));
  const loss = build(values);
  graph.output("loss", loss);
  const found = gradients(loss, values);
  found.forEach((gradient, index) => {
    if (gradient !== undefined) graph.output(`g${index}`, gradient);
  });
  const feeds = Object.fromEntries(Object.entries(numbers).map(([name, x]) => [name, scalarOf("float64", x)]));
  const outputs = await runGraph(graph, feeds);
  return found.map((gradient, index) => (gradient === undefined ? undefined : numbersOf(outputs, `g${index}`)[0]));
}

const first = (values: readonly Value[]): Value => {
  const [value] = values;
  if (value === undefined) throw new Error("expected a value");
  return value;
};

describe("gradients", () => {
  test("undefined for a parameter that the scalar does not depend on", async () => {
    expect(await gradientsAt({ x: 3, unused: 1 }, (values) => mul(first(values), 2))).toEqual([2, undefined]);
  });

  test("undefined for a parameter that is only compared", async () => {
    const found = await gradientsAt({ x: 3, y: 1 }, ([x, y]) =>
      x && y ? where(compare("Less", y, x), mul(x, 5), x) : first([]),
    );
    expect(found).toEqual([5, undefined]);
  });

  test("the scalar itself has gradient 1", async () => {
    expect(await gradientsAt({ x: 3 }, (values) => first(values))).toEqual([1]);
  });

  test("a parameter used several times gets the sum", async () => {
    const found = await gradientsAt({ x: 3 }, ([x]) => (x ? add(mul(x, x), mul(x, 4)) : first([])));
    expect(found).toEqual([10]);
  });

  test("a parameter asked for twice gets its gradient twice", async () => {
    const graph = new Graph();
    const x = scalar(graph, "x");
    const [one, two] = gradients(mul(x, x), [x, x]);
    expect(one).toBe(two);
  });

  test("a parameter that depends on another: both get theirs", async () => {
    const graph = new Graph();
    const x = scalar(graph, "x");
    const y = mul(x, 2);
    const found = gradients(mul(y, y), [x, y]);
    found.forEach((gradient, index) => {
      graph.output(`g${index}`, gradient ?? x);
    });
    const outputs = await runGraph(graph, { x: scalarOf("float64", 3) });
    expect([numbersOf(outputs, "g0"), numbersOf(outputs, "g1")]).toEqual([[24], [12]]);
  });

  test("a chain through several operations, and two paths that join", async () => {
    const found = await gradientsAt({ x: 0.3, y: -0.7 }, ([x, y]) => {
      if (!x || !y) return first([]);
      const h = tanh(mul(x, y));
      return sub(exp(h), mul(h, x));
    });
    const [x, y] = [0.3, -0.7];
    const h = Math.tanh(x * y);
    const slope = (Math.exp(h) - x) * (1 - h * h);
    expect(found[0]).toBeCloseTo(slope * y - h, 12);
    expect(found[1]).toBeCloseTo(slope * x, 12);
  });

  test("stopGradient blocks one path and leaves the other", async () => {
    expect(await gradientsAt({ x: 3 }, ([x]) => (x ? mul(stopGradient(x), x) : first([])))).toEqual([3]);
    expect(await gradientsAt({ x: 3 }, ([x]) => (x ? stopGradient(mul(x, x)) : first([])))).toEqual([undefined]);
  });

  test("one of several outputs of a split is enough", async () => {
    const graph = new Graph();
    const x = graph.input("x", "float64", [4]);
    const [, middle = x] = split(x, [1, 2, 1], 0);
    const [gradient = x] = gradients(reduceSum(mul(middle, 3)), [x]);
    graph.output("g", gradient);
    const outputs = await runGraph(graph, { x: tensorOf("float64", [4], [1, 2, 3, 4]) });
    expect(numbersOf(outputs, "g")).toEqual([0, 3, 3, 0]);
  });

  test("equal maxima share the gradient; equal sides of maximum give it to the left", async () => {
    const graph = new Graph();
    const x = graph.input("x", "float64", [4]);
    const y = graph.input("y", "float64", [4]);
    const [shared = x] = gradients(reduceMax(x), [x]);
    const [left = x, right = x] = gradients(reduceSum(maximum(x, y)), [x, y]);
    graph.output("shared", shared);
    graph.output("left", left);
    graph.output("right", right);
    const feeds = { x: tensorOf("float64", [4], [1, 5, 5, 2]), y: tensorOf("float64", [4], [1, 4, 6, 3]) };
    const outputs = await runGraph(graph, feeds);
    expect(numbersOf(outputs, "shared")).toEqual([0, 0.5, 0.5, 0]);
    expect(numbersOf(outputs, "left")).toEqual([1, 1, 0, 0]);
    expect(numbersOf(outputs, "right")).toEqual([0, 0, 1, 1]);
  });

  test("backward nodes are not recorded: a second call finds the same graph", () => {
    const graph = new Graph();
    const x = scalar(graph, "x");
    const loss = mul(exp(x), x);
    const entries = graph.tape.length;
    gradients(loss, [x]);
    expect(graph.tape.length).toBe(entries);
  });

  test("refuses what is not a scalar", () => {
    const x = new Graph().input("x", "float32", [2, 3]);
    expect(() => gradients(x, [x])).toThrow("gradients: expected a scalar of shape [], got [2, 3]");
  });
});

describe("frozen inputs cost no nodes of their own", () => {
  /** Nodes that the gradients with respect to some of the inputs add. */
  function cost(build: (graph: Graph) => { loss: Value; inputs: Value[] }, wanted: readonly number[]): number {
    const graph = new Graph();
    const { loss, inputs } = build(graph);
    const before = graph.nodes.length;
    gradients(
      loss,
      inputs.filter((_, index) => wanted.includes(index)),
    );
    return graph.nodes.length - before;
  }

  test("nothing to differentiate: no node", () => {
    const build = (graph: Graph) => {
      const inputs = [graph.input("x", "float32", [2, 3]), graph.input("w", "float32", [3, 4])];
      return { loss: reduceSum(matmul(first(inputs), first(inputs.slice(1)))), inputs };
    };
    expect(cost(build, [])).toBe(0);
  });

  test("matmul: one product less for a frozen weight, and none below the first trained one", () => {
    const build = (graph: Graph) => {
      const x = graph.input("x", "float32", [2, 3]);
      const frozen = graph.input("frozen", "float32", [3, 4]);
      const trained = graph.input("trained", "float32", [4, 5]);
      return { loss: reduceSum(matmul(matmul(x, frozen), trained)), inputs: [x, frozen, trained] };
    };
    const products = (wanted: number[]) => cost(build, wanted) - cost(build, []);
    // Reshape and Expand of the sum's gradient, then the products.
    expect(products([2])).toBe(3);
    expect(products([1])).toBe(4);
    expect(products([1, 2])).toBe(5);
    expect(products([0, 1, 2])).toBe(6);
  });

  test("attention, rmsNorm and add compute only what is asked for", () => {
    const attentionGraph = (graph: Graph) => {
      const inputs = ["q", "k", "v"].map((name) => graph.input(name, "float32", [1, 2, 3, 4]));
      const [q, k, v] = inputs;
      if (!q || !k || !v) throw new Error("expected three inputs");
      return { loss: reduceSum(attention(q, k, v)), inputs };
    };
    // The values' gradient alone is the expanded sum and one product.
    expect(cost(attentionGraph, [2])).toBe(3);
    expect(cost(attentionGraph, [0])).toBeLessThan(cost(attentionGraph, [0, 1]));
    expect(cost(attentionGraph, [0, 1])).toBeLessThan(cost(attentionGraph, [0, 1, 2]));
    const norm = (graph: Graph) => {
      const inputs = [graph.input("x", "float32", [2, 4]), graph.input("w", "float32", [4])];
      return { loss: reduceSum(rmsNorm(first(inputs), first(inputs.slice(1)), 1e-6)), inputs };
    };
    expect(cost(norm, [0])).toBeLessThan(cost(norm, [0, 1]));
    const bias = (graph: Graph) => {
      const inputs = [graph.input("x", "float32", [2, 4]), graph.input("b", "float32", [4])];
      return { loss: reduceSum(add(first(inputs), first(inputs.slice(1)))), inputs };
    };
    expect(cost(bias, [0])).toBe(cost(bias, [0, 1]) - 2);
  });

  test("a frozen embedding needs no scatter", () => {
    const build = (graph: Graph) => {
      const table = graph.input("table", "float32", [5, 2]);
      const x = graph.input("x", "float32", [3, 2]);
      const rows = gatherRows(table, graph.input("ids", "int64", [3]));
      return { loss: reduceSum(concat([rows, x], 0)), inputs: [table, x] };
    };
    const graph = new Graph();
    const { loss, inputs } = build(graph);
    gradients(loss, inputs.slice(1));
    expect(graph.nodes.map((node) => node.opType)).not.toContain("ScatterElements");
  });
});

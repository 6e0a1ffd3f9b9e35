import { describe, expect, test } from "vitest";
import { numbersOf, runGraph, scalarOf, shapeOf, tensorOf } from "../../test/graph/run-graph.js";
import { gradients } from "./gradients.js";
import { Graph, stopGradient, type Value } from "./graph.js";
import { type LoopOptions, loop } from "./loop.js";
import { add, cast, compare, exp, mul, square, sub } from "./ops/elementwise.js";
import { matmul } from "./ops/matmul.js";
import { reduceSum } from "./ops/reduce.js";

const only = (values: readonly Value[]): Value => {
  const [value] = values;
  if (value === undefined) throw new Error("expected a value");
  return value;
};

/** What a loop over `steps` gives with one carried value `x` [2]. */
async function run(
  steps: number,
  body: (step: Parameters<LoopOptions["body"]>[0], outer: Value) => ReturnType<LoopOptions["body"]>,
) {
  const graph = new Graph();
  const x = graph.input("x", "float32", [2]);
  const rows = graph.input("rows", "float32", [steps, 2]);
  const outer = mul(x, 10);
  const { carried, collected } = loop({
    graph,
    steps,
    carried: [x],
    sequences: [rows],
    body: (step) => body(step, outer),
  });
  carried.forEach((value, index) => {
    graph.output(`carried${index}`, value);
  });
  collected.forEach((value, index) => {
    graph.output(`collected${index}`, value);
  });
  return runGraph(graph, {
    x: tensorOf("float32", [2], [1, 2]),
    rows: tensorOf(
      "float32",
      [steps, 2],
      Array.from({ length: steps * 2 }, (_, index) => index),
    ),
  });
}

describe("loop", () => {
  test("carries a value, reads a row of the sequence and the index at each step, collects rows", async () => {
    const outputs = await run(3, ({ carried, sequences, index }) => {
      const next = add(only(carried), only(sequences));
      return { carried: [next], collected: [next, index] };
    });
    expect(numbersOf(outputs, "carried0")).toEqual([7, 11]);
    expect(shapeOf(outputs, "collected0")).toEqual([3, 2]);
    expect(numbersOf(outputs, "collected0")).toEqual([1, 3, 3, 6, 7, 11]);
    expect(numbersOf(outputs, "collected1")).toEqual([0, 1, 2]);
  });

  test("a body may return what it got, an outer value, or one value in two places", async () => {
    const outputs = await run(2, ({ carried, sequences }, outer) => ({
      carried: [outer],
      collected: [only(carried), only(sequences), only(carried), outer],
    }));
    expect(numbersOf(outputs, "carried0")).toEqual([10, 20]);
    expect(numbersOf(outputs, "collected0")).toEqual([1, 2, 10, 20]);
    expect(numbersOf(outputs, "collected1")).toEqual([0, 1, 2, 3]);
    expect(numbersOf(outputs, "collected2")).toEqual([1, 2, 10, 20]);
    expect(numbersOf(outputs, "collected3")).toEqual([10, 20, 10, 20]);
  });

  test("a body builds on outer values", async () => {
    const outputs = await run(2, ({ carried }, outer) => ({
      carried: [add(only(carried), mul(outer, outer))],
      collected: [],
    }));
    expect(numbersOf(outputs, "carried0")).toEqual([201, 802]);
  });

  test("loops nest, and the inner one sees all outer values", async () => {
    const outputs = await run(2, ({ graph, carried, index }, outer) => {
      const inner = loop({
        graph,
        steps: 3,
        carried,
        sequences: [],
        body: (step) => ({
          carried: [add(add(only(step.carried), outer), cast(index, "float32"))],
          collected: [add(step.index, index)],
        }),
      });
      return { carried: inner.carried, collected: inner.collected };
    });
    // 3 · outer + 3 · index a step
    expect(numbersOf(outputs, "carried0")).toEqual([1 + 60 + 3, 2 + 120 + 3]);
    expect(numbersOf(outputs, "collected0")).toEqual([0, 1, 2, 1, 2, 3]);
  });

  test("several carried values of different dtypes and shapes, symbolic ones too", async () => {
    const graph = new Graph();
    const x = graph.input("x", "float32", ["n", 2]);
    const count = graph.input("count", "int64", []);
    const { carried } = loop({
      graph,
      steps: 4,
      carried: [x, count],
      sequences: [],
      body: ({ carried: [value = x, number = count] }) => ({ carried: [mul(value, 2), add(number, 1)], collected: [] }),
    });
    const [last = x, number = count] = carried;
    expect(last.shape).toEqual(["n", 2]);
    graph.output("x4", last);
    graph.output("count4", number);
    const outputs = await runGraph(graph, { x: tensorOf("float32", [1, 2], [1, 2]), count: scalarOf("int64", 5) });
    expect(numbersOf(outputs, "x4")).toEqual([16, 32]);
    expect(numbersOf(outputs, "count4")).toEqual([9]);
  });

  test.each([
    [3, 4, [8, 16]],
    [3, 2, [4, 8]],
    [1, 4, [2, 4]],
    [3, 0, [2, 4]],
  ])(
    "of at most %i steps, of which the body wants %i, runs the first and ends where the body says so",
    async (steps, wanted, expected) => {
      const graph = new Graph();
      const x = graph.input("x", "float32", [2]);
      const { carried } = loop({
        graph,
        steps,
        carried: [x],
        sequences: [],
        body: ({ index, carried }) => ({
          carried: [mul(only(carried), 2)],
          collected: [],
          goOn: compare("Less", add(index, 1), wanted),
        }),
      });
      graph.output("last", only(carried));
      const outputs = await runGraph(graph, { x: tensorOf("float32", [2], [1, 2]) });
      expect(numbersOf(outputs, "last")).toEqual(expected);
    },
  );

  test("trains inside: gradients in the body, weights carried, losses collected", async () => {
    const graph = new Graph();
    const steps = 5;
    const start = graph.input("w", "float64", [2, 1]);
    const inputs = graph.input("inputs", "float64", [steps, 3, 2]);
    const targets = graph.input("targets", "float64", [steps, 3, 1]);
    const { carried, collected } = loop({
      graph,
      steps,
      carried: [start],
      sequences: [inputs, targets],
      body: ({ carried: [w = start], sequences: [x = inputs, y = targets] }) => {
        const loss = reduceSum(square(sub(matmul(x, w), y)));
        const [gradient = w] = gradients(loss, [w]);
        return { carried: [sub(w, mul(gradient, 0.05))], collected: [loss] };
      },
    });
    graph.output("trained", only(carried));
    graph.output("losses", only(collected));
    const x = [
      [1, 0.5],
      [-0.3, 0.8],
      [0.2, -0.7],
    ];
    const y = [1, -1, 0.5];
    const w = [0.1, -0.2];
    const losses: number[] = [];
    for (let step = 0; step < steps; step++) {
      const errors = x.map(([a = 0, b = 0], row) => a * (w[0] ?? 0) + b * (w[1] ?? 0) - (y[row] ?? 0));
      losses.push(errors.reduce((sum, error) => sum + error * error, 0));
      const slope = [0, 1].map((axis) =>
        errors.reduce((sum, error, row) => sum + 2 * error * (x[row]?.[axis] ?? 0), 0),
      );
      slope.forEach((value, axis) => {
        w[axis] = (w[axis] ?? 0) - 0.05 * value;
      });
    }
    const repeat = (rows: number[]) => Array.from({ length: steps }, () => rows).flat();
    const outputs = await runGraph(graph, {
      w: tensorOf("float64", [2, 1], [0.1, -0.2]),
      inputs: tensorOf("float64", [steps, 3, 2], repeat(x.flat())),
      targets: tensorOf("float64", [steps, 3, 1], repeat(y)),
    });
    numbersOf(outputs, "losses").forEach((loss, step) => {
      expect(loss).toBeCloseTo(losses[step] ?? 0, 12);
    });
    numbersOf(outputs, "trained").forEach((weight, axis) => {
      expect(weight).toBeCloseTo(w[axis] ?? 0, 12);
    });
  });

  test("gradients in a body reach parameters outside, also through operations outside the body", async () => {
    const graph = new Graph();
    const w = graph.input("w", "float64", []);
    const before = exp(w);
    const { collected } = loop({
      graph,
      steps: 2,
      carried: [],
      sequences: [],
      body: ({ index }) => {
        const squared = mul(before, before); // of outer values alone, so it belongs to the outer graph
        const loss = mul(squared, cast(add(index, 1), "float64"));
        const [gradient = w] = gradients(loss, [w]);
        return { carried: [], collected: [gradient] };
      },
    });
    graph.output("g", only(collected));
    const outputs = await runGraph(graph, { w: scalarOf("float64", 0.5) });
    const [first = 0, second = 0] = numbersOf(outputs, "g");
    expect(first).toBeCloseTo(2 * Math.exp(1), 12);
    expect(second).toBeCloseTo(4 * Math.exp(1), 12);
  });

  describe("gradients through a loop", () => {
    /** The gradient of the loop's first result with respect to `w`, which enters somewhere. */
    const through = (
      enter: (w: Value) => Pick<LoopOptions, "carried" | "sequences" | "body">,
      leave: (value: Value) => Value = (value) => value,
    ) => {
      const graph = new Graph();
      const w = graph.input("w", "float32", [2]);
      const { carried, collected } = loop({ graph, steps: 2, ...enter(w) });
      return gradients(reduceSum(leave(only([...carried, ...collected]))), [w]);
    };
    const doubled: LoopOptions["body"] = ({ carried, sequences }) => ({
      carried: [],
      collected: [mul(only([...carried, ...sequences]), 2)],
    });
    const ways: [string, Parameters<typeof through>[0]][] = [
      ["carried", (w) => ({ carried: [w], sequences: [], body: ({ carried }) => ({ carried, collected: [] }) })],
      ["a sequence", (w) => ({ carried: [], sequences: [w], body: doubled })],
      [
        "a value from outside",
        (w) => ({
          carried: [],
          sequences: [],
          body: ({ index }) => ({ carried: [], collected: [mul(cast(index, "float32"), w)] }),
        }),
      ],
      [
        "a value from outside that is returned as it is",
        (w) => ({ carried: [], sequences: [], body: () => ({ carried: [], collected: [w] }) }),
      ],
      [
        "a loop in the loop",
        (w) => ({
          carried: [],
          sequences: [],
          body: ({ graph }) => ({
            carried: [],
            collected: loop({
              graph,
              steps: 2,
              carried: [w],
              sequences: [],
              body: ({ carried }) => ({ carried, collected: [] }),
            }).carried,
          }),
        }),
      ],
    ];
    test.each(ways)("are refused, not left out: %s", (_, enter) => {
      expect(() => through(enter)).toThrow(
        "gradients: expected no loop between the scalar and its parameters, got one",
      );
    });

    test("stop where the caller says so", () => {
      const [, enter] = ways[1] ?? [];
      expect(enter && through(enter, stopGradient)).toEqual([undefined]);
      expect(through((w) => ({ carried: [], sequences: [stopGradient(w)], body: doubled }))).toEqual([undefined]);
    });
  });

  const graph = new Graph();
  const x = graph.input("x", "float32", [2]);
  const options = (changes: Partial<LoopOptions>): LoopOptions => ({
    graph,
    steps: 2,
    carried: [x],
    sequences: [],
    body: ({ carried }) => ({ carried, collected: [] }),
    ...changes,
  });
  const errors: [message: string, changes: Partial<LoopOptions>][] = [
    ["loop: expected at least 1 step, got 0", { steps: 0 }],
    ["loop: expected at least 1 step, got 1.5", { steps: 1.5 }],
    ["loop: expected sequences of 2 rows, got 3", { sequences: [graph.input("s", "float32", [3, 2])] }],
    ["loop: expected sequences of 2 rows, got a scalar", { sequences: [graph.input("t", "float32", [])] }],
    ["loop: expected 1 carried values back, got 0", { body: () => ({ carried: [], collected: [] }) }],
    [
      "loop: expected carried value 0 of shape [2], got []",
      { body: ({ carried }) => ({ carried: [reduceSum(only(carried))], collected: [] }) },
    ],
    [
      "loop: expected carried value 0 of float32, got int64",
      { body: ({ carried }) => ({ carried: [cast(only(carried), "int64")], collected: [] }) },
    ],
    [
      "loop: expected goOn of bool, got int64",
      { body: ({ carried, index }) => ({ carried, collected: [], goOn: index }) },
    ],
    [
      "loop: expected goOn of shape [], got [2]",
      { body: ({ carried }) => ({ carried, collected: [], goOn: compare("Less", only(carried), 1) }) },
    ],
    [
      "loop: expected nothing collected where the body says goOn, got 1 values",
      { body: ({ carried, index }) => ({ carried, collected: [index], goOn: compare("Less", index, 1) }) },
    ],
    [
      "loop: expected values of one graph, got values of two",
      { carried: [new Graph().input("other", "float32", [2])] },
    ],
  ];
  test.each(errors)("%s", (message, changes) => {
    expect(() => loop(options(changes))).toThrow(message);
  });

  test("a body may not return values of another graph", () => {
    const other = new Graph().input("y", "float32", [2]);
    expect(() => loop(options({ body: () => ({ carried: [other], collected: [] }) }))).toThrow(
      'output: expected a value of this graph or of one around it, got "y" of another',
    );
  });

  test("a value of a body is not an output of the graph around it", () => {
    const inner: Value[] = [];
    const body: LoopOptions["body"] = ({ carried }) => {
      inner.push(add(only(carried), 1));
      return { carried, collected: [] };
    };
    loop(options({ body }));
    expect(() => graph.output("leak", only(inner))).toThrow(
      "output: expected a value of this graph or of one around it",
    );
  });
});

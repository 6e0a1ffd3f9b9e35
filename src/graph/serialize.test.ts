import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { numbersOf, runGraph, scalarOf, tensorOf } from "../../test/graph/run-graph.js";
import { Graph } from "./graph.js";
import { loop } from "./loop.js";
import { ModelProtoSchema } from "./onnx_pb.js";
import { add, exp, mul } from "./ops/elementwise.js";
import { serializeGraph } from "./serialize.js";

function decoded(graph: Graph) {
  const model = fromBinary(ModelProtoSchema, serializeGraph(graph));
  return {
    nodes: model.graph?.node.map((node) => node.opType) ?? [],
    constants: model.graph?.initializer ?? [],
    outputs: model.graph?.output.map((output) => output.name) ?? [],
  };
}

const feed = tensorOf("float32", [2], [1, 2]);

describe("serializeGraph", () => {
  test("leaves out nodes and constants that no output needs", () => {
    const graph = new Graph();
    const x = graph.input("x", "float32", [2]);
    exp(add(x, graph.constant(tensorOf("float32", [2], [5, 5]), "unused")));
    graph.output("y", mul(x, graph.constant(feed, "used")));
    const { nodes, constants } = decoded(graph);
    expect(nodes).toEqual(["Mul"]);
    expect(constants.map((constant) => constant.name)).toEqual(["used"]);
  });

  test("keeps inputs that nothing uses, so that feeds do not depend on it", async () => {
    const graph = new Graph();
    graph.input("unused", "float32", ["n"]);
    graph.output("y", exp(graph.input("x", "float32", [])));
    const outputs = await runGraph(graph, { x: scalarOf("float32", 0), unused: feed });
    expect(numbersOf(outputs, "y")).toEqual([1]);
  });

  test("an output of its own for an input, a constant, and a value that is an output twice or used further", async () => {
    const graph = new Graph();
    const x = graph.input("x", "float32", [2]);
    const y = mul(x, 3);
    graph.output("input", x);
    graph.output("constant", graph.constant(feed, "c"));
    graph.output("once", y);
    graph.output("twice", y);
    graph.output("further", add(y, 1));
    expect(decoded(graph).outputs).toEqual(["input", "constant", "once", "twice", "further"]);
    const outputs = await runGraph(graph, { x: feed });
    expect(Object.keys(outputs)).toEqual(["input", "constant", "once", "twice", "further"]);
    const found = ["input", "constant", "once", "twice", "further"].map((name) => numbersOf(outputs, name));
    expect(found).toEqual([
      [1, 2],
      [1, 2],
      [3, 6],
      [3, 6],
      [4, 7],
    ]);
  });

  test("a value that is an output can be used inside a loop", async () => {
    const graph = new Graph();
    const x = graph.input("x", "float32", [2]);
    const outer = mul(x, 3);
    graph.output("outer", outer);
    const { carried } = loop({
      graph,
      steps: 2,
      carried: [x],
      sequences: [],
      body: ({ carried: [value = x] }) => ({ carried: [add(value, outer)], collected: [] }),
    });
    graph.output("sum", carried[0] ?? x);
    const outputs = await runGraph(graph, { x: feed });
    expect(numbersOf(outputs, "outer")).toEqual([3, 6]);
    expect(numbersOf(outputs, "sum")).toEqual([7, 14]);
  });

  test("a loop that nothing uses is left out, with what only its body used", () => {
    const graph = new Graph();
    const x = graph.input("x", "float32", [2]);
    const constant = graph.constant(feed, "inner");
    loop({
      graph,
      steps: 2,
      carried: [x],
      sequences: [],
      body: ({ carried: [value = x] }) => ({ carried: [add(value, mul(constant, 2))], collected: [] }),
    });
    graph.output("y", exp(x));
    const { nodes, constants } = decoded(graph);
    expect(nodes).toEqual(["Exp"]);
    expect(constants).toEqual([]);
  });

  test("names an external tensor by file, offset and length", () => {
    const graph = new Graph();
    const weight = graph.constant(
      { dtype: "float32", shape: [2, 3], location: "model.safetensors", offset: 128, length: 24 },
      "w",
    );
    graph.output("y", exp(weight));
    const [constant] = decoded(graph).constants;
    expect(constant?.rawData.length).toBe(0);
    expect(constant?.externalData.map(({ key, value }) => `${key}=${value}`)).toEqual([
      "location=model.safetensors",
      "offset=128",
      "length=24",
    ]);
  });

  test("equal scalars are stored once, 0 and -0 apart", () => {
    const graph = new Graph();
    const x = graph.input("x", "float32", [2]);
    graph.output("y", add(mul(add(x, 0.5), 0.5), 0.5));
    graph.output("z", add(mul(x, 0), -0));
    expect(decoded(graph).constants.length).toBe(3);
  });

  test("writes the same bytes for the same graph", () => {
    const build = () => {
      const graph = new Graph();
      graph.output("y", exp(mul(graph.input("x", "float32", ["n"]), 2)));
      return serializeGraph(graph);
    };
    expect(build()).toEqual(build());
  });
});

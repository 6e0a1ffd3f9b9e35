import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createDelta } from "../../src/experts/delta-config.js";
import { gradients } from "../../src/graph/gradients.js";
import { Graph } from "../../src/graph/graph.js";
import { loop } from "../../src/graph/loop.js";
import { type GraphProto, ModelProtoSchema } from "../../src/graph/onnx_pb.js";
import { attention, attentionBias } from "../../src/graph/ops/attention.js";
import { type MatmulOptions, matmul } from "../../src/graph/ops/matmul.js";
import { rmsNorm } from "../../src/graph/ops/normalization.js";
import { reduceSum } from "../../src/graph/ops/reduce.js";
import { serializeGraph } from "../../src/graph/serialize.js";
import type { Device } from "../../src/runtime/device.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import { lowerForWebgpu } from "../../src/runtime/webgpu-lowering.js";
import { type Tensor, tensor } from "../../src/tensors/tensor.js";
import { adafactor, adafactorPresets } from "../../src/training/optimizers/adafactor.js";
import { train } from "../../src/training/train.js";
import type { TrainOptions } from "../../src/training/train-options.js";
import { tinyModel, tinyOptions } from "../training/tiny-training.js";

let device: Device;
beforeAll(async () => {
  device = await openDevice({ threads: 1 });
});
afterAll(() => device.close());

/** Operators of a model, those of loop bodies included; with a second output that WebGPU gets wrong, marked so. */
function operators(graph: GraphProto | undefined): string[] {
  return (graph?.node ?? []).flatMap((node) => [
    node.opType === "SimplifiedLayerNormalization" && (node.output[1] ?? "") !== ""
      ? "normalization with factor"
      : node.opType,
    ...node.attribute.flatMap(({ g }) => operators(g)),
  ]);
}
const ABSENT = ["FusedMatMul", "Attention", "normalization with factor"];

function lowered(bytes: Uint8Array): {
  readonly bytes: Uint8Array;
  readonly before: string[];
  readonly after: string[];
} {
  const model = fromBinary(ModelProtoSchema, bytes);
  const before = operators(model.graph);
  lowerForWebgpu(model);
  return { bytes: toBinary(ModelProtoSchema, model), before, after: operators(model.graph) };
}

function numbers(...shape: number[]): Tensor<"float32"> {
  const count = shape.reduce((product, size) => product * size, 1);
  return tensor(
    "float32",
    shape,
    Float32Array.from({ length: count }, (_, index) => Math.sin(index * 1.7 + shape.length)),
  );
}

/** Runs a graph as it is and lowered. */
async function both(graph: Graph, feeds: Readonly<Record<string, Tensor>>) {
  const bytes = serializeGraph(graph);
  const other = lowered(bytes);
  await using program = await device.compile(bytes);
  await using loweredProgram = await device.compile(other.bytes);
  const { outputs: expected } = await program.run(feeds);
  const { outputs: found } = await loweredProgram.run(feeds);
  return { ...other, expected, found };
}

function expectAlike(found: Readonly<Record<string, Tensor>>, expected: Readonly<Record<string, Tensor>>): void {
  expect(Object.keys(found)).toEqual(Object.keys(expected));
  for (const [name, { data, shape }] of Object.entries(expected)) {
    expect(found[name]?.shape).toEqual(shape);
    const wanted = Array.from(data, Number);
    const largest = Math.max(1, ...wanted.map(Math.abs));
    wanted.forEach((number, index) => {
      expect(Math.abs(Number(found[name]?.data[index]) - number), name).toBeLessThan(1e-5 * largest);
    });
  }
}

type Product = [left: number[], right: number[], options: MatmulOptions];

const flags = [false, true];
const products = flags.flatMap((transposeA) =>
  flags.flatMap((transposeB): Product[] => [
    [transposeA ? [2, 3, 4] : [2, 4, 3], transposeB ? [2, 5, 3] : [2, 3, 5], { transposeA, transposeB, alpha: 0.5 }],
    [transposeA ? [2, 2, 3, 4] : [2, 2, 4, 3], transposeB ? [5, 3] : [3, 5], { transposeA, transposeB }],
  ]),
);

describe("what is written for WebGPU", () => {
  test.each(products)("products of %j and %j, %j", async (left, right, options) => {
    const graph = new Graph();
    const product = matmul(graph.input("left", "float32", left), graph.input("right", "float32", right), options);
    graph.output("product", product);
    const { after, found, expected } = await both(graph, { left: numbers(...left), right: numbers(...right) });
    expect(after).not.toContain("FusedMatMul");
    expectAlike(found, expected);
  });

  test.each([
    ["with a bias", true],
    ["without", false],
  ])("attention %s, and its gradients", async (_, biased) => {
    const graph = new Graph();
    const [query, key, value] = (["query", "key", "value"] as const).map((name) =>
      graph.input(name, "float32", name === "query" ? [2, 2, 3, 4] : [2, 2, 5, 4]),
    );
    const bias = graph.input("bias", "float32", [1, 2, 3, 5]);
    if (query === undefined || key === undefined || value === undefined) throw new Error("three inputs");
    const output = attention(query, key, value, {
      scale: 0.7,
      ...(biased ? { bias: attentionBias(bias, undefined) } : {}),
    });
    graph.output("output", output);
    const weights = graph.input("weights", "float32", [2, 2, 3, 4]);
    const inputs = [query, key, value, ...(biased ? [bias] : [])];
    gradients(reduceSum(matmul(output, weights, { transposeB: true })), inputs).forEach((gradient, index) => {
      if (gradient !== undefined) graph.output(`gradient ${index}`, gradient);
    });
    const fed = {
      query: numbers(2, 2, 3, 4),
      key: numbers(2, 2, 5, 4),
      value: numbers(2, 2, 5, 4),
      bias: numbers(1, 2, 3, 5),
    };
    const { before, after, found, expected } = await both(graph, { ...fed, weights: numbers(2, 2, 3, 4) });
    expect(before).toContain("Attention");
    expect(after.filter((operator) => ABSENT.includes(operator))).toEqual([]);
    expect(Object.keys(expected)).toHaveLength(1 + inputs.length);
    expectAlike(found, expected);
  });

  test("the normalisation's factor, in a loop's body too", async () => {
    const graph = new Graph();
    const weight = graph.input("weight", "float32", [4]);
    const { carried } = loop({
      graph,
      steps: 2,
      carried: [graph.input("x", "float32", [3, 4])],
      sequences: [],
      body: ({ carried: [x] }) => {
        if (x === undefined) throw new Error("one carried value");
        const normal = rmsNorm(x, weight, 1e-3);
        const [gradient] = gradients(reduceSum(matmul(normal, normal, { transposeB: true })), [x]);
        if (gradient === undefined) throw new Error("a gradient");
        return { carried: [gradient], collected: [] };
      },
    });
    carried.forEach((value) => {
      graph.output("x after", value);
    });
    const { before, after, found, expected } = await both(graph, { x: numbers(3, 4), weight: numbers(4) });
    expect(before).toContain("normalization with factor");
    expect(after.filter((operator) => ABSENT.includes(operator))).toEqual([]);
    expectAlike(found, expected);
  });

  test("a product whose operand's rank nothing tells stays as it is", async () => {
    const graph = new Graph();
    const left = graph.input("left", "float32", [2, 3, 4]);
    graph.output("product", matmul(left, graph.input("right", "float32", [2, 3, 5]), { transposeA: true }));
    const model = fromBinary(ModelProtoSchema, serializeGraph(graph));
    const [input] = model.graph?.input ?? [];
    if (input?.type?.value.case !== "tensorType") throw new Error("a tensor");
    delete input.type.value.value.shape;
    lowerForWebgpu(model);
    expect(operators(model.graph)).toEqual(["FusedMatMul"]);
  });
});

const batch = { rows: 2, inputLength: 12, targetLength: 6, sequences: 4 };
test.each<[string, Partial<TrainOptions>]>([
  ["all weights", {}],
  [
    "choices, Adafactor, masks by element",
    {
      optimizer: adafactor(adafactorPresets.t5x),
      losses: { tokens: 1, choices: 1 },
      dropout: { rate: 0.2, broadcast: "none" },
    },
  ],
  ["without dropout", { dropout: { rate: 0 } }],
  ["recomputed", { recompute: true }],
  ["several steps a run with accumulation", { stepsPerRun: 2, batch: { ...batch, accumulate: 2 } }],
  ["LoRA", { delta: createDelta({ kind: "lora", config: { rank: 2, alpha: 4 } }, tinyModel().hookPoints) }],
])("a training step, %s: nothing is left that WebGPU lacks, and the result is the same", async (_, options) => {
  const seen = { before: new Set<string>(), after: new Set<string>() };
  const rewriting: Device = {
    ...device,
    compile(bytes, compileOptions) {
      const model = lowered(bytes);
      for (const operator of model.before) seen.before.add(operator);
      for (const operator of model.after) seen.after.add(operator);
      return device.compile(model.bytes, compileOptions);
    },
  };
  const run = async (on: Device) => {
    const losses: number[] = [];
    await train({
      ...tinyOptions(on, { steps: 2, batch, ...options }),
      onEvent: (event) => {
        if (event.type === "step-end") losses.push(event.loss, event.gradientNorm);
      },
    });
    return losses;
  };
  const expected = await run(device);
  const found = await run(rewriting);
  expect([...seen.before].filter((operator) => ABSENT.includes(operator)).length).toBeGreaterThan(1);
  expect([...seen.after].filter((operator) => ABSENT.includes(operator))).toEqual([]);
  expect(found).toHaveLength(4);
  found.forEach((number, index) => {
    expect(number / Number(expected[index])).toBeCloseTo(1, 5);
  });
});

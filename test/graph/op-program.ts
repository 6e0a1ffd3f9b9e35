import { createRandom, type Random } from "../../src/core/random.js";
import { gradients } from "../../src/graph/gradients.js";
import { Graph, type Value } from "../../src/graph/graph.js";
import { add, mul } from "../../src/graph/ops/elementwise.js";
import { reduceSum } from "../../src/graph/ops/reduce.js";
import type { Dim, Shape } from "../../src/graph/shape.js";
import { elementCount, type Tensor } from "../../src/tensors/tensor.js";
import type { OpCase, OpInput } from "./op-cases.js";
import { tensorOf } from "./run-graph.js";

/** Sizes of a case's named dimensions. */
export type Sizes = Readonly<Record<string, number>>;

/** Names of the dimensions of a case. */
export function dimensionsOf(opCase: OpCase): string[] {
  return [...new Set(opCase.inputs.flatMap((input) => input.shape.filter((dim) => typeof dim === "string")))];
}

/** True if the gradient with respect to this input is asked for. */
export function isDifferentiated(input: OpInput): boolean {
  return !["indices", "bool", "mask", "dropout", "constant"].includes(input.values);
}

/** Where a case's graph ends. */
export interface OpGraph {
  readonly graph: Graph;
  /** Shapes of the operation's outputs, which are also those of the projections. */
  readonly outputs: readonly Shape[];
  /** Inputs that have a gradient, by number. */
  readonly differentiated: readonly number[];
}

/** How a case becomes a graph. */
export interface OpGraphOptions {
  readonly dtype: "float32" | "float64";
  readonly sizes: Sizes;
  /** Leave dimensions symbolic where the case allows it. */
  readonly symbolic?: boolean;
  /** Put before all names, for several cases in one graph. */
  readonly prefix?: string;
  readonly graph?: Graph;
}

/**
 * A graph with inputs `x0, x1, …` and projections `r0, …`, and outputs `y0, …`, `loss` = Σ y∘r, and the gradients `g0, …` of the loss with
 * respect to the differentiated inputs.
 */
export function buildOpGraph(opCase: OpCase, options: OpGraphOptions): OpGraph {
  const { dtype, sizes, symbolic = false, prefix = "", graph = new Graph() } = options;
  const resolve = (dim: Dim): Dim =>
    typeof dim === "number" || (symbolic && !opCase.fixed?.includes(dim)) ? dim : sizeOf(dim, sizes);
  const inputs = opCase.inputs.map((input, index) =>
    graph.input(`${prefix}x${index}`, inputDType(input, dtype), input.shape.map(resolve)),
  );
  const built = opCase.build(...inputs);
  const outputs: readonly Value[] = "graph" in built ? [built] : built;
  const terms = outputs.map((output, index) => {
    graph.output(`${prefix}y${index}`, output);
    const projection = graph.input(`${prefix}r${index}`, dtype, output.shape);
    return reduceSum(mul(output, projection));
  });
  const loss = terms.reduce((sum, term) => add(sum, term));
  graph.output(`${prefix}loss`, loss);
  const differentiated = opCase.inputs.flatMap((input, index) => (isDifferentiated(input) ? [index] : []));
  const found = gradients(
    loss,
    inputs.filter((_, index) => differentiated.includes(index)),
  );
  found.forEach((gradient, index) => {
    if (gradient === undefined) {
      throw new Error(`${opCase.name}: expected a gradient of input ${differentiated[index]}, got none`);
    }
    graph.output(`${prefix}g${differentiated[index]}`, gradient);
  });
  return { graph, outputs: outputs.map((output) => output.shape), differentiated };
}

/** Random feeds for a case's graph; equal numbers for both dtypes, as they are rounded to float32. */
export function feedsFor(
  opCase: OpCase,
  built: OpGraph,
  options: OpGraphOptions,
  seed: number,
): Record<string, Tensor> {
  const { dtype, sizes, prefix = "" } = options;
  const random = createRandom(seed);
  const feeds: Record<string, Tensor> = {};
  opCase.inputs.forEach((input, index) => {
    const shape = concrete(input.shape, sizes);
    feeds[`${prefix}x${index}`] = tensorOf(inputDType(input, dtype), shape, numbersFor(input, shape, sizes, random));
  });
  built.outputs.forEach((shape, index) => {
    const sizesOfShape = concrete(shape, sizes);
    feeds[`${prefix}r${index}`] = tensorOf(
      dtype,
      sizesOfShape,
      numbersFor({ shape, values: "normal" }, sizesOfShape, sizes, random),
    );
  });
  return feeds;
}

function inputDType(input: OpInput, dtype: "float32" | "float64") {
  switch (input.values) {
    case "indices":
      return input.indexDType ?? "int64";
    case "bool":
      return "bool";
    default:
      return dtype;
  }
}

function sizeOf(dim: string, sizes: Sizes): number {
  const size = sizes[dim];
  if (size === undefined) {
    throw new Error(`expected a size of dimension ${dim}, got ${Object.keys(sizes).join(", ")}`);
  }
  return size;
}

function concrete(shape: Shape, sizes: Sizes): number[] {
  return shape.map((dim) => (typeof dim === "number" ? dim : sizeOf(dim, sizes)));
}

function numbersFor(input: OpInput, shape: readonly number[], sizes: Sizes, random: Random): number[] {
  const count = elementCount(shape);
  const draw = (make: (index: number) => number): number[] => Array.from({ length: count }, (_, index) => make(index));
  switch (input.values) {
    case "normal":
    case "constant":
      return draw(() => Math.fround(random.nextFloat() * 3 - 1.5));
    case "positive":
      return draw(() => Math.fround(random.nextFloat() * 1.5 + 0.5));
    case "even":
      return draw(() => Math.fround((random.nextInteger(15) - 7) * 0.2));
    case "odd":
      return draw(() => Math.fround((random.nextInteger(14) - 7) * 0.2 + 0.1));
    case "distinct":
      return random.shuffle(draw((index) => Math.fround((3 * (index + 0.5)) / count - 1.5)));
    case "indices": {
      const numbers = draw(() => random.nextInteger(sizeOf(input.below ?? "", sizes)));
      numbers[count - 1] = numbers[0] ?? 0;
      return numbers;
    }
    case "bool":
      return draw(() => random.nextInteger(2));
    case "mask":
      return draw((index) => (index % (shape.at(-1) ?? 1) === 0 || random.nextFloat() < 0.7 ? 0 : -1e4));
    case "dropout":
      return draw(() => (random.nextFloat() < 0.8 ? 1.25 : 0));
  }
}

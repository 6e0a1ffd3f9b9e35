import type { GraphProto, NodeProto, TensorProto } from "../graph/onnx_pb.js";

/** The ranks of a graph's values, as far as they can be told without shapes. */
export interface Ranks {
  /** The rank of a value of this graph or of one around it; undefined where it cannot be told. */
  of(name: string): number | undefined;
  /** The elements of a value that is a vector, a target shape say. */
  lengthOf(name: string): number | undefined;
  /** The constant of a name. */
  constant(name: string): TensorProto | undefined;
}

/** Operators whose first output has the rank of their first input. */
const LIKE_FIRST = new Set(
  (
    "Identity Cast CastLike Neg Exp Log Sqrt Reciprocal Tanh Sigmoid Erf Relu Gelu FastGelu Softmax LogSoftmax Slice Pad Concat Split " +
    "Transpose SimplifiedLayerNormalization LayerNormalization ScatterElements GatherElements Attention"
  ).split(" "),
);
/** Operators whose inputs are broadcast against each other. */
const BROADCAST = new Set(
  (
    "Add Sub Mul Div Max Min Pow Mod Where Equal Less LessOrEqual Greater GreaterOrEqual And Or Xor BitwiseAnd BitwiseOr BitwiseXor " +
    "MatMul FusedMatMul"
  ).split(" "),
);
const REDUCTION = /^Reduce/;

/** Follows the operators that Cadre emits from the inputs and constants, whose shapes a model states. @param outer of the graph around this one */
export function createRanks(graph: GraphProto, outer: Ranks | undefined): Ranks {
  const producers = new Map(graph.node.flatMap((node) => node.output.map((output) => [output, node] as const)));
  const constants = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
  const known = new Map<string, number | undefined>();
  for (const { name, type } of graph.input) {
    known.set(name, type?.value.case === "tensorType" ? type.value.value.shape?.dim.length : undefined);
  }
  for (const [name, { dims }] of constants) {
    known.set(name, dims.length);
  }

  const ranks: Ranks = {
    constant: (name) => constants.get(name) ?? outer?.constant(name),

    of(name) {
      const node = producers.get(name);
      if (!known.has(name)) {
        known.set(name, node === undefined ? outer?.of(name) : rankOfOutput(node, ranks));
      }
      return known.get(name);
    },

    lengthOf(name) {
      const constant = constants.get(name);
      if (constant !== undefined) {
        return constant.dims.length === 1 ? Number(constant.dims[0]) : undefined;
      }
      const node = producers.get(name);
      return node === undefined ? outer?.lengthOf(name) : lengthOfOutput(node, ranks);
    },
  };
  // In order, so that looking up does not have to go deep.
  for (const node of graph.node) {
    for (const output of node.output) {
      ranks.of(output);
    }
  }
  return ranks;
}

function rankOfOutput(node: NodeProto, ranks: Ranks): number | undefined {
  const { opType, input } = node;
  const [first = "", second = ""] = input;
  if (LIKE_FIRST.has(opType)) {
    return ranks.of(first);
  }
  if (BROADCAST.has(opType)) {
    return most(input.map((name) => ranks.of(name)));
  }
  if (REDUCTION.test(opType)) {
    if (node.attribute.find(({ name }) => name === "keepdims")?.i !== 0n) {
      return ranks.of(first);
    }
    return sum(ranks.of(first), negative(ranks.lengthOf(second)));
  }
  switch (opType) {
    case "Gemm":
      return 2;
    case "Range":
    case "Shape":
      return 1;
    case "Size":
      return 0;
    case "Reshape":
      return ranks.lengthOf(second);
    case "Expand":
      return most([ranks.of(first), ranks.lengthOf(second)]);
    case "Gather":
      return sum(sum(ranks.of(first), ranks.of(second)), -1);
    default:
      return undefined;
  }
}

function lengthOfOutput(node: NodeProto, ranks: Ranks): number | undefined {
  const { opType, input } = node;
  switch (opType) {
    case "Shape": {
      const bound = (name: string): bigint | undefined => node.attribute.find((one) => one.name === name)?.i;
      const [start = 0n, end] = [bound("start"), bound("end")];
      return end === undefined
        ? sum(ranks.of(input[0] ?? ""), Number(-start))
        : start < 0n || end < 0n
          ? undefined
          : Number(end - start);
    }
    case "Concat":
      return input.map((name) => ranks.lengthOf(name)).reduce<number | undefined>(sum, 0);
    case "Expand":
      return firstInteger(ranks.constant(input[1] ?? ""));
    default:
      return undefined;
  }
}

/** The one element of a constant vector. */
function firstInteger(constant: TensorProto | undefined): number | undefined {
  if (constant === undefined || constant.rawData.byteLength !== 8) {
    return undefined;
  }
  const { buffer, byteOffset } = constant.rawData;
  return Number(new DataView(buffer, byteOffset).getBigInt64(0, true));
}

function sum(left: number | undefined, right: number | undefined): number | undefined {
  return left === undefined || right === undefined ? undefined : left + right;
}

function negative(number: number | undefined): number | undefined {
  return number === undefined ? undefined : -number;
}

function most(numbers: readonly (number | undefined)[]): number | undefined {
  return numbers.includes(undefined) ? undefined : Math.max(...numbers.map(Number));
}

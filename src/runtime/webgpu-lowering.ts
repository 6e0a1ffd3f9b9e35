import { create } from "@bufbuild/protobuf";
import { CadreError } from "../core/errors.js";
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
} from "../graph/onnx_pb.js";
import { createRanks, type Ranks } from "./value-ranks.js";

/**
 * Writes operators with others where ONNX Runtime 1.30 has no WebGPU kernel, or a wrong one. Changes the model in place.
 *
 * Without a kernel: `FusedMatMul` becomes transpositions, a product and a factor, `Attention` (as `graph/ops/attention.ts` emits it) products
 * and a softmax. Left alone, their inputs would go to the processor and their results back at every layer. A node whose operands' ranks
 * cannot be told stays as it is: it runs on the processor, with the same result.
 *
 * Wrong: the second output of `SimplifiedLayerNormalization` is the mean there, not the factor 1 / √(mean(x²) + epsilon) that gradients need,
 * so that is computed apart.
 */
export function lowerForWebgpu(model: ModelProto): void {
  if (model.graph !== undefined) {
    lowerGraph(model.graph, undefined);
  }
}

function lowerGraph(graph: GraphProto, outer: Ranks | undefined): void {
  const ranks = createRanks(graph, outer);
  const nodes = graph.node.flatMap((node) => {
    for (const { g: body } of node.attribute) {
      if (body !== undefined) {
        lowerGraph(body, ranks);
      }
    }
    return lowered(node, graph, ranks) ?? [node];
  });
  graph.node = nodes;
}

function lowered(node: NodeProto, graph: GraphProto, ranks: Ranks): NodeProto[] | undefined {
  if (node.opType === "FusedMatMul" && node.domain === "com.microsoft") {
    return loweredProduct(node, graph, ranks);
  }
  if (node.domain !== "") {
    return undefined;
  }
  switch (node.opType) {
    case "Attention":
      return loweredAttention(node, graph);
    case "SimplifiedLayerNormalization":
      return loweredNormalization(node, graph);
    default:
      return undefined;
  }
}

const PRODUCT_ATTRIBUTES = new Set(["transA", "transB", "alpha"]);

function loweredProduct(node: NodeProto, graph: GraphProto, ranks: Ranks): NodeProto[] | undefined {
  const [output = ""] = node.output;
  if (node.attribute.some(({ name }) => !PRODUCT_ATTRIBUTES.has(name))) {
    return undefined;
  }
  const nodes: NodeProto[] = [];
  const operands: string[] = [];
  for (const [position, flag] of (["transA", "transB"] as const).entries()) {
    const operand = node.input[position] ?? "";
    if (attribute(node, flag)?.i !== 1n) {
      operands.push(operand);
      continue;
    }
    const rank = ranks.of(operand);
    if (rank === undefined || rank < 2) {
      return undefined;
    }
    const transposed = `${output}/${flag}`;
    nodes.push(transposition(operand, transposed, rank));
    operands.push(transposed);
  }
  const alpha = attribute(node, "alpha")?.f ?? 1;
  return [...nodes, ...scaledProduct(graph, operands, { output, factor: alpha })];
}

/** `qk_matmul_output_mode` of the probabilities after the softmax. */
const PROBABILITIES = 3n;
const ATTENTION_ATTRIBUTES = new Set(["scale", "qk_matmul_output_mode"]);

function loweredAttention(node: NodeProto, graph: GraphProto): NodeProto[] | undefined {
  const [query = "", key = "", value = "", bias = "", ...past] = node.input;
  const [output = "", presentKey = "", presentValue = "", probabilities = ""] = node.output;
  const scale = attribute(node, "scale");
  // Without a scale the operator takes one from the head's size, which is not known here.
  const fits =
    scale !== undefined &&
    node.attribute.every(({ name }) => ATTENTION_ATTRIBUTES.has(name)) &&
    attribute(node, "qk_matmul_output_mode")?.i === PROBABILITIES &&
    [...past, presentKey, presentValue].every((name) => name === "");
  if (!fits) {
    return undefined;
  }
  const at = (part: string): string => `${output}/${part}`;
  const scores = at("scores");
  const biased = bias === "" ? scores : at("biased");
  const shares = probabilities === "" ? at("probabilities") : probabilities;
  return [
    transposition(key, at("key"), 4),
    ...scaledProduct(graph, [query, at("key")], { output: scores, factor: scale.f }),
    ...(bias === "" ? [] : [plain("Add", [scores, bias], biased)]),
    create(NodeProtoSchema, {
      ...named("Softmax", [biased], shares),
      attribute: [create(AttributeProtoSchema, { name: "axis", type: AttributeProto_AttributeType.INT, i: -1n })],
    }),
    plain("MatMul", [shares, value], output),
  ];
}

function loweredNormalization(node: NodeProto, graph: GraphProto): NodeProto[] | undefined {
  const [input = ""] = node.input;
  const [output = "", scale = ""] = node.output;
  const epsilon = attribute(node, "epsilon")?.f;
  if (scale === "") {
    return undefined;
  }
  if (epsilon === undefined || attribute(node, "axis")?.i !== -1n) {
    throw new CadreError("unsupported", `webgpu: expected ${output} to normalise the last axis with an epsilon`);
  }
  const at = (part: string): string => `${output}/${part}`;
  graph.initializer.push(
    floatConstant(at("epsilon"), epsilon),
    create(TensorProtoSchema, {
      name: at("axes"),
      dataType: TensorProto_DataType.INT64,
      dims: [1n],
      rawData: new Uint8Array(BigInt64Array.of(-1n).buffer),
    }),
  );
  return [
    { ...node, output: [output] },
    plain("Mul", [input, input], at("squares")),
    plain("ReduceMean", [at("squares"), at("axes")], at("mean")),
    plain("Add", [at("mean"), at("epsilon")], at("raised")),
    plain("Sqrt", [at("raised")], at("root")),
    plain("Reciprocal", [at("root")], scale),
  ];
}

function scaledProduct(
  graph: GraphProto,
  operands: string[],
  { output, factor }: { readonly output: string; readonly factor: number },
): NodeProto[] {
  if (factor === 1) {
    return [plain("MatMul", operands, output)];
  }
  const unscaled = `${output}/unscaled`;
  const scale = `${output}/factor`;
  graph.initializer.push(floatConstant(scale, factor));
  return [plain("MatMul", operands, unscaled), plain("Mul", [unscaled, scale], output)];
}

function floatConstant(name: string, number: number): TensorProto {
  const rawData = new Uint8Array(Float32Array.of(number).buffer);
  return create(TensorProtoSchema, { name, dataType: TensorProto_DataType.FLOAT, dims: [], rawData });
}

/** Swaps the last two axes. */
function transposition(input: string, output: string, rank: number): NodeProto {
  const axes = Array.from({ length: rank }, (_, axis) => BigInt(axis));
  const ints = [...axes.slice(0, -2), ...axes.slice(-2).reverse()];
  return create(NodeProtoSchema, {
    ...named("Transpose", [input], output),
    attribute: [create(AttributeProtoSchema, { name: "perm", type: AttributeProto_AttributeType.INTS, ints })],
  });
}

function plain(opType: string, input: string[], output: string): NodeProto {
  return create(NodeProtoSchema, named(opType, input, output));
}

function named(opType: string, input: string[], output: string) {
  return { name: output, opType, input, output: [output] };
}

function attribute(node: NodeProto, name: string) {
  return node.attribute.find((candidate) => candidate.name === name);
}

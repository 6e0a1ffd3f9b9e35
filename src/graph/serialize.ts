import { create, toBinary } from "@bufbuild/protobuf";
import { CadreError } from "../core/errors.js";
import type { DType } from "../tensors/dtype.js";
import type { Tensor } from "../tensors/tensor.js";
import type { Attribute, ExternalTensor, Graph, GraphNode } from "./graph.js";
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "./onnx_pb.js";
import { onnxDataType } from "./onnx-types.js";
import type { Shape } from "./shape.js";

/** ONNX operator set that Cadre emits: the first with `Attention`. */
const OPSET_VERSION = 23n;
/** ONNX intermediate representation that belongs to that operator set. */
const IR_VERSION = 11n;
/** Operators that leave out an output when it has no name, and the work for it. */
const OPTIONAL_OUTPUTS = new Set(["Attention", "SimplifiedLayerNormalization"]);
/** Protobuf's limit for one message, in bytes; larger weights must be external. */
const MAX_MODEL_BYTES = 2 ** 31 - 1;

/**
 * Writes a graph as an ONNX model. Nodes and constants that no output needs are left out.
 * @throws CadreError `invalid-argument` above 2 GB (keep weights external).
 */
export function serializeGraph(graph: Graph): Uint8Array {
  const needed = new Set<string>();
  const body = graphProto(graph, needed);
  for (const [name, constant] of graph.constants) {
    if (needed.has(name)) {
      body.initializer.push(tensorProto(name, constant));
    }
  }
  const model = create(ModelProtoSchema, {
    irVersion: IR_VERSION,
    producerName: "cadre",
    opsetImport: [
      { domain: "", version: OPSET_VERSION },
      { domain: "com.microsoft", version: 1n },
    ],
    graph: body,
  });
  const bytes = toBinary(ModelProtoSchema, model);
  if (bytes.length > MAX_MODEL_BYTES) {
    throw new CadreError("invalid-argument", `serialize: expected a model below 2 GB, got ${bytes.length} bytes`);
  }
  return bytes;
}

/** Collects into `needed` every name that the graph's outputs depend on, and writes the nodes that produce them. */
function graphProto(
  graph: Graph,
  needed: Set<string>,
  outerRenamed: ReadonlyMap<string, string> = new Map(),
): GraphProto {
  const produced = new Set(graph.nodes.flatMap((node) => node.outputs));
  // A value that is an output takes the output's name, in loop bodies that use it too.
  const renamed = new Map(outerRenamed);
  const copies: NodeProto[] = [];
  for (const { name, value } of graph.outputs) {
    needed.add(value.name);
    if (produced.has(value.name) && !renamed.has(value.name)) {
      renamed.set(value.name, name);
    } else {
      // An input, a constant, or a value that is an output already: ONNX wants a node of its own.
      const source = renamed.get(value.name) ?? value.name;
      copies.push(create(NodeProtoSchema, { opType: "Identity", input: [source], output: [name], name }));
    }
  }
  const nodes: NodeProto[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (node.outputs.some((output) => needed.has(output))) {
      nodes.push(nodeProto(node, needed, renamed));
      for (const input of node.inputs) {
        needed.add(input);
      }
    }
  }
  nodes.reverse();
  return create(GraphProtoSchema, {
    name: graph.parent === undefined ? "cadre" : "body",
    node: [...nodes, ...copies],
    input: graph.inputs.map((input) => valueInfo(input.name, input.dtype, input.shape)),
    output: graph.outputs.map((output) => valueInfo(output.name, output.value.dtype, output.value.shape)),
  });
}

function nodeProto(node: GraphNode, needed: Set<string>, renamed: ReadonlyMap<string, string>): NodeProto {
  return create(NodeProtoSchema, {
    name: node.outputs[0] ?? node.opType,
    opType: node.opType,
    domain: node.domain,
    input: node.inputs.map((input) => renamed.get(input) ?? input),
    output: node.outputs.map((output, index) =>
      index > 0 && !needed.has(output) && OPTIONAL_OUTPUTS.has(node.opType) ? "" : (renamed.get(output) ?? output),
    ),
    attribute: Object.entries(node.attributes).map(([name, attribute]) =>
      attributeProto(name, attribute, needed, renamed),
    ),
  });
}

function attributeProto(
  name: string,
  attribute: Attribute,
  needed: Set<string>,
  renamed: ReadonlyMap<string, string>,
): AttributeProto {
  const type = AttributeProto_AttributeType;
  if ("int" in attribute) {
    return create(AttributeProtoSchema, { name, type: type.INT, i: BigInt(attribute.int) });
  }
  if ("ints" in attribute) {
    return create(AttributeProtoSchema, { name, type: type.INTS, ints: attribute.ints.map(BigInt) });
  }
  if ("float" in attribute) {
    return create(AttributeProtoSchema, { name, type: type.FLOAT, f: attribute.float });
  }
  if ("string" in attribute) {
    return create(AttributeProtoSchema, { name, type: type.STRING, s: new TextEncoder().encode(attribute.string) });
  }
  return create(AttributeProtoSchema, { name, type: type.GRAPH, g: graphProto(attribute.graph, needed, renamed) });
}

function tensorProto(name: string, constant: Tensor | ExternalTensor): TensorProto {
  const common = { name, dataType: onnxDataType(constant.dtype), dims: constant.shape.map(BigInt) };
  if ("data" in constant) {
    const { buffer, byteOffset, byteLength } = constant.data;
    return create(TensorProtoSchema, { ...common, rawData: new Uint8Array(buffer, byteOffset, byteLength) });
  }
  return create(TensorProtoSchema, {
    ...common,
    dataLocation: TensorProto_DataLocation.EXTERNAL,
    externalData: [
      { key: "location", value: constant.location },
      { key: "offset", value: String(constant.offset) },
      { key: "length", value: String(constant.length) },
    ],
  });
}

function valueInfo(name: string, dtype: DType, shape: Shape): ValueInfoProto {
  return create(ValueInfoProtoSchema, {
    name,
    type: {
      value: {
        case: "tensorType",
        value: {
          elemType: onnxDataType(dtype),
          shape: {
            dim: shape.map((dim) => ({
              value:
                typeof dim === "number"
                  ? { case: "dimValue" as const, value: BigInt(dim) }
                  : { case: "dimParam" as const, value: dim },
            })),
          },
        },
      },
    },
  });
}

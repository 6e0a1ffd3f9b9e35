import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  ModelProtoSchema,
  type NodeProtoSchema,
  TensorProto_DataLocation,
  TensorProto_DataType,
  type TensorProtoSchema,
  type ValueInfoProtoSchema,
} from "../../graph/onnx_pb.js";
import { type Tensor, tensor } from "../../tensors/tensor.js";

type Init<Schema extends Parameters<typeof create>[0]> = MessageInitShape<Schema>;

const ELEMENT_TYPES = {
  float32: TensorProto_DataType.FLOAT,
  float64: TensorProto_DataType.DOUBLE,
  float16: TensorProto_DataType.FLOAT16,
  int32: TensorProto_DataType.INT32,
  int64: TensorProto_DataType.INT64,
  int8: TensorProto_DataType.INT8,
  uint8: TensorProto_DataType.UINT8,
  uint32: TensorProto_DataType.UINT32,
  uint64: TensorProto_DataType.UINT64,
  bool: TensorProto_DataType.BOOL,
} as const;

type ElementType = keyof typeof ELEMENT_TYPES;

/** A graph's input or output; sizes may be symbols. */
export function value(
  name: string,
  shape: readonly (number | string)[],
  type: ElementType = "float32",
): Init<typeof ValueInfoProtoSchema> {
  const dim = shape.map((size) => ({
    value:
      typeof size === "string"
        ? { case: "dimParam" as const, value: size }
        : { case: "dimValue" as const, value: BigInt(size) },
  }));
  return { name, type: { value: { case: "tensorType", value: { elemType: ELEMENT_TYPES[type], shape: { dim } } } } };
}

/** A node: `node("Add", ["a", "b"], "sum")`. */
export function node(opType: string, input: string[], output: string): Init<typeof NodeProtoSchema> {
  return { opType, input, output: [output] };
}

/** A float constant inside the model. */
export function constant(
  name: string,
  shape: readonly number[],
  numbers: Float32Array,
): Init<typeof TensorProtoSchema> {
  const rawData = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  return { name, dims: shape.map(BigInt), dataType: TensorProto_DataType.FLOAT, rawData };
}

/** A float constant that lies in another file. */
export function externalConstant(
  name: string,
  shape: readonly number[],
  { file, offset, length }: { readonly file: string; readonly offset: number; readonly length: number },
): Init<typeof TensorProtoSchema> {
  return {
    name,
    dims: shape.map(BigInt),
    dataType: TensorProto_DataType.FLOAT,
    dataLocation: TensorProto_DataLocation.EXTERNAL,
    externalData: [
      { key: "location", value: file },
      { key: "offset", value: String(offset) },
      { key: "length", value: String(length) },
    ],
  };
}

/** What a tiny model is made of. */
export interface TinyModel {
  readonly inputs: Init<typeof ValueInfoProtoSchema>[];
  readonly outputs: Init<typeof ValueInfoProtoSchema>[];
  readonly nodes: Init<typeof NodeProtoSchema>[];
  readonly constants?: Init<typeof TensorProtoSchema>[];
}

/** The bytes of a model. */
export function model({ inputs, outputs, nodes, constants = [] }: TinyModel): Uint8Array {
  const graph = { name: "tiny", input: inputs, output: outputs, node: nodes, initializer: constants };
  const opsetImport = [{ domain: "", version: 21n }];
  return toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: 10n, opsetImport, graph }));
}

/** y = x · w for x of [batch, 2] and w = [[1, 2], [3, 4]]. */
export function productModel(): Uint8Array {
  return model({
    inputs: [value("x", ["batch", 2])],
    outputs: [value("y", ["batch", 2])],
    nodes: [node("MatMul", ["x", "w"], "y")],
    constants: [constant("w", [2, 2], Float32Array.of(1, 2, 3, 4))],
  });
}

/** A state n that grows by the input `step` in each run, and the output `ratio` = step / n before the run. */
export function counterModel(): Uint8Array {
  return model({
    inputs: [value("n", [1]), value("step", [1])],
    outputs: [value("next", [1]), value("ratio", [1])],
    nodes: [node("Add", ["n", "step"], "next"), node("Div", ["step", "n"], "ratio")],
  });
}

/** Eight products of a square matrix with itself: slow on purpose. */
export function slowModel(size: number): Uint8Array {
  const names = Array.from({ length: 8 }, (_, index) => `p${index}`);
  return model({
    inputs: [value("x", [size, size])],
    outputs: [value("top", [1, 1])],
    nodes: [
      ...names.map((name, index) => node("MatMul", [names[index - 1] ?? "x", "x"], name)),
      node("ReduceMax", ["p7"], "top"),
    ],
  });
}

/** A float32 tensor. */
export function floats(shape: readonly number[], numbers: ArrayLike<number>): Tensor<"float32"> {
  return tensor("float32", shape, Float32Array.from(numbers));
}

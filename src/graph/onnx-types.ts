import { CadreError } from "../core/errors.js";
import type { DType } from "../tensors/dtype.js";
import { TensorProto_DataType } from "./onnx_pb.js";

const dataTypes: Partial<Record<DType, TensorProto_DataType>> = {
  float32: TensorProto_DataType.FLOAT,
  float64: TensorProto_DataType.DOUBLE,
  float16: TensorProto_DataType.FLOAT16,
  bfloat16: TensorProto_DataType.BFLOAT16,
  int8: TensorProto_DataType.INT8,
  uint8: TensorProto_DataType.UINT8,
  int32: TensorProto_DataType.INT32,
  int64: TensorProto_DataType.INT64,
  uint32: TensorProto_DataType.UINT32,
  uint64: TensorProto_DataType.UINT64,
  bool: TensorProto_DataType.BOOL,
};

/** ONNX's number for a dtype. */
export function onnxDataType(dtype: DType): TensorProto_DataType {
  const dataType = dataTypes[dtype];
  if (dataType === undefined) {
    throw new CadreError("unsupported", `serialize: ONNX has no dtype ${dtype}`);
  }
  return dataType;
}

import type { Tensor as OrtTensor } from "onnxruntime-node";
import { CadreError } from "../../core/errors.js";
import { dataClassOf, isDType } from "../../tensors/dtype.js";
import type { Tensor } from "../../tensors/tensor.js";

/** Makes ONNX Runtime's tensors; passed in, because only the worker loads the library. */
export type OrtTensorConstructor = new (
  type: OrtTensor.Type,
  data: OrtTensor.DataType,
  dims: readonly number[],
) => OrtTensor;

/**
 * ONNX Runtime's view of a tensor; the elements are shared, not copied. The names of the dtypes are the same on both sides;
 * bool is a Uint8Array and float16 a Uint16Array in both.
 * @throws CadreError `unsupported` for bfloat16, which ONNX Runtime's JavaScript interface does not carry.
 */
export function toOrtTensor({ dtype, shape, data }: Tensor, OrtTensorClass: OrtTensorConstructor): OrtTensor {
  if (dtype === "bfloat16") {
    throw new CadreError(
      "unsupported",
      "expected a dtype that ONNX Runtime takes, got bfloat16; convert the tensor to float32",
    );
  }
  return new OrtTensorClass(dtype, data, shape);
}

/** Our view of one of ONNX Runtime's tensors; the elements are shared, not copied. */
export function fromOrtTensor(value: OrtTensor): Tensor {
  const { type, data, dims } = value;
  if (!isDType(type) || Array.isArray(data)) {
    throw new CadreError("unsupported", `expected an output of a numeric dtype, got ${type}; cast it in the graph`);
  }
  // A view of our class for the dtype: newer Node versions know a Float16Array, which ONNX Runtime then uses for float16.
  const view = new (dataClassOf(type))(data.buffer, data.byteOffset, data.length);
  return { dtype: type, shape: [...dims], data: view };
}

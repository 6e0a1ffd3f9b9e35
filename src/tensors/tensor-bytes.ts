import { CadreError } from "../core/errors.js";
import { bytesPerElement, type DType, dataClassOf } from "./dtype.js";
import { elementCount, type Tensor, tensor } from "./tensor.js";

const IS_LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Options of {@link tensorFromBytes}. */
export interface TensorFromBytesOptions {
  /** What messages call the bytes; default `tensor`. */
  readonly where?: string;
}

/**
 * A tensor from its little-endian bytes. The memory is shared where its alignment allows, otherwise copied.
 * @throws CadreError `invalid-file` when the size does not fit the shape or a bool is neither 0 nor 1, `unsupported` on a
 * big-endian machine.
 */
export function tensorFromBytes<D extends DType>(
  dtype: D,
  shape: readonly number[],
  bytes: Uint8Array,
  options: TensorFromBytesOptions = {},
): Tensor<D> {
  const where = options.where ?? "tensor";
  requireLittleEndian();
  const size = bytesPerElement(dtype);
  const count = elementCount(shape);
  if (bytes.length !== count * size) {
    throw new CadreError("invalid-file", `${where}: expected ${count * size} bytes, found ${bytes.length}`);
  }
  if (dtype === "bool" && bytes.some((byte) => byte > 1)) {
    throw new CadreError("invalid-file", `${where}: expected bools of 0 or 1, found another byte`);
  }
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  const DataClass = dataClassOf(dtype);
  return tensor(dtype, shape, new DataClass(aligned.buffer, aligned.byteOffset, count));
}

/**
 * A tensor's elements as little-endian bytes, sharing its memory.
 * @throws CadreError `invalid-argument` where data and shape disagree; `unsupported` on a big-endian machine.
 */
export function bytesOfTensor(value: Tensor): Uint8Array {
  requireLittleEndian();
  const count = elementCount(value.shape);
  if (value.data.length !== count) {
    throw new CadreError(
      "invalid-argument",
      `tensor: expected ${count} elements for shape [${value.shape.join(", ")}], got ${value.data.length}`,
    );
  }
  return new Uint8Array(value.data.buffer, value.data.byteOffset, value.data.byteLength);
}

function requireLittleEndian(): void {
  if (!IS_LITTLE_ENDIAN) throw new CadreError("unsupported", "tensors: big-endian machines are not supported");
}

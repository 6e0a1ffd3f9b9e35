import { CadreError } from "../core/errors.js";
import { bytesPerElement, type DType, dataClassOf, type TensorDataByDType } from "./dtype.js";

/** Numbers in main memory with a shape, row-major. `Tensor` alone means any dtype. */
export interface Tensor<D extends DType = DType> {
  readonly dtype: D;
  /** Sizes of the dimensions, outermost first; `[]` is one number. */
  readonly shape: readonly number[];
  /** The elements, exactly `elementCount(shape)` of them. */
  readonly data: TensorDataByDType[D];
}

/**
 * A tensor over existing elements (not copied).
 * @throws CadreError `invalid-argument` when the data is of the wrong class or its length does not fit the shape.
 */
export function tensor<D extends DType>(dtype: D, shape: readonly number[], data: TensorDataByDType[D]): Tensor<D> {
  if (!(data instanceof dataClassOf(dtype))) {
    throw new CadreError("invalid-argument", `tensor: ${dtype} data needs a ${dataClassOf(dtype).name}`);
  }
  const count = elementCount(shape);
  if (data.length !== count) {
    throw new CadreError("invalid-argument", `tensor [${shape}]: expected ${count} elements, found ${data.length}`, {
      details: { shape, expected: count, found: data.length },
    });
  }
  return { dtype, shape: [...shape], data };
}

/**
 * A tensor of zeros.
 * @throws CadreError `invalid-argument` for a bad shape, `out-of-memory` when the elements cannot be allocated.
 */
export function zeros<D extends DType>(dtype: D, shape: readonly number[]): Tensor<D> {
  const count = elementCount(shape);
  const DataClass = dataClassOf(dtype);
  try {
    return { dtype, shape: [...shape], data: new DataClass(count) };
  } catch (cause) {
    throw new CadreError("out-of-memory", `zeros [${shape}]: ${count * bytesPerElement(dtype)} bytes are too many`, {
      cause,
    });
  }
}

/**
 * The number of elements of a shape; 1 for `[]`.
 * @throws CadreError `invalid-argument` when a size is not an integer of 0 or more, or the product passes 2^53 - 1.
 */
export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) {
      throw new CadreError("invalid-argument", `shape [${shape}]: expected sizes that are integers of 0 or more`);
    }
    count *= size;
  }
  if (shape.includes(0)) return 0;
  if (!Number.isSafeInteger(count)) {
    throw new CadreError("invalid-argument", `shape [${shape}]: expected fewer than 2^53 elements`);
  }
  return count;
}

/** What has a shape. */
interface Shaped {
  readonly shape: readonly number[];
}

/** The number of elements of all tensors or parameters together. @throws CadreError as `elementCount`. */
export function countElements(tensors: Iterable<Shaped>): number {
  let count = 0;
  for (const { shape } of tensors) count += elementCount(shape);
  return count;
}

/** What they take in float32, in bytes. @throws CadreError as `elementCount`. */
export function floatBytes(tensors: Iterable<Shaped>): number {
  return Float32Array.BYTES_PER_ELEMENT * countElements(tensors);
}

/** True when a tensor is of the given dtype, so that its data has the matching class. */
export function hasDType<D extends DType>(value: Tensor, dtype: D): value is Tensor<D> {
  return value.dtype === dtype;
}

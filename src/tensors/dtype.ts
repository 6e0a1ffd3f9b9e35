/**
 * The typed array that holds the elements of each dtype. float16 and bfloat16 are held as their 16 bits, bool as one byte
 * of 0 or 1.
 */
export interface TensorDataByDType {
  float32: Float32Array;
  float64: Float64Array;
  float16: Uint16Array;
  bfloat16: Uint16Array;
  int32: Int32Array;
  int64: BigInt64Array;
  int8: Int8Array;
  uint8: Uint8Array;
  uint32: Uint32Array;
  uint64: BigUint64Array;
  bool: Uint8Array;
}

/** The element type of a tensor. */
export type DType = keyof TensorDataByDType;

/** A dtype that holds real numbers in a floating format. */
export type FloatDType = "float32" | "float64" | "float16" | "bfloat16";

/** The elements of a tensor of any dtype. */
export type TensorData = TensorDataByDType[DType];

/** What makes the typed array of a dtype: a fresh one of zeros, or a view of a buffer. */
export interface TensorDataClass<D extends DType> {
  readonly BYTES_PER_ELEMENT: number;
  new (length: number): TensorDataByDType[D];
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): TensorDataByDType[D];
}

const CLASSES: { readonly [D in DType]: TensorDataClass<D> } = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  int8: Int8Array,
  uint8: Uint8Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
};

/** Every dtype, in a fixed order. */
export const DTYPES: readonly DType[] = [
  "float32",
  "float64",
  "float16",
  "bfloat16",
  "int32",
  "int64",
  "int8",
  "uint8",
  "uint32",
  "uint64",
  "bool",
];

/** The typed array class that holds a dtype's elements. */
export function dataClassOf<D extends DType>(dtype: D): TensorDataClass<D> {
  return CLASSES[dtype];
}

/** Bytes of one element: 1, 2, 4 or 8. */
export function bytesPerElement(dtype: DType): number {
  return CLASSES[dtype].BYTES_PER_ELEMENT;
}

/** True for a text that names a dtype. */
export function isDType(value: unknown): value is DType {
  return typeof value === "string" && Object.hasOwn(CLASSES, value);
}

/** True for float32, float64, float16 and bfloat16. */
export function isFloatDType(dtype: DType): dtype is FloatDType {
  return dtype === "float32" || dtype === "float64" || dtype === "float16" || dtype === "bfloat16";
}

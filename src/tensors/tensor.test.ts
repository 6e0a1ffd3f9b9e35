import { expect, test } from "vitest";
import { bytesPerElement, DTYPES, dataClassOf, isDType, isFloatDType } from "./dtype.js";
import { elementCount, hasDType, type Tensor, tensor, zeros } from "./tensor.js";
import { bytesOfTensor, tensorFromBytes } from "./tensor-bytes.js";

const refused = expect.objectContaining({ code: "invalid-argument" });

test("a tensor holds exactly the elements of its shape", () => {
  const matrix = tensor("float32", [2, 3], new Float32Array(6));
  expect(matrix.data.length).toBe(6);
  expect(() => tensor("float32", [2, 3], new Float32Array(5))).toThrow(refused);
  expect(tensor("int32", [], new Int32Array(1)).shape).toEqual([]);
  // @ts-expect-error the class of the data follows from the dtype
  expect(() => tensor("float32", [1], new Float64Array(1))).toThrow(refused);
});

test("a tensor keeps its own copy of the shape", () => {
  const shape = [2];
  const vector = zeros("int64", shape);
  shape[0] = 9;
  expect(vector).toEqual({ dtype: "int64", shape: [2], data: new BigInt64Array(2) });
});

test("element counts are checked", () => {
  expect(elementCount([])).toBe(1);
  expect(elementCount([0, 2 ** 53 - 1, 2 ** 53 - 1])).toBe(0);
  for (const shape of [[-1], [1.5], [Number.NaN], [2 ** 53], [2 ** 30, 2 ** 30]]) {
    expect(() => elementCount(shape)).toThrow(refused);
  }
  expect(() => zeros("float64", [2 ** 45])).toThrow(expect.objectContaining({ code: "out-of-memory" }));
});

test("every dtype has a class, a size, and survives its bytes", () => {
  for (const dtype of DTYPES) {
    expect(isDType(dtype)).toBe(true);
    const value = zeros(dtype, [2, 2]);
    expect(value.data).toBeInstanceOf(dataClassOf(dtype));
    const bytes = bytesOfTensor(value);
    expect(bytes.length).toBe(4 * bytesPerElement(dtype));
    bytes.fill(1); // shared memory: the tensor sees it
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    expect(tensorFromBytes(dtype, [2, 2], shifted.subarray(1))).toEqual(value);
  }
  expect(isDType("toString")).toBe(false);
  expect(DTYPES.filter(isFloatDType)).toEqual(["float32", "float64", "float16", "bfloat16"]);
});

test("bytes of the wrong size or bools that are none are refused", () => {
  const invalid = expect.objectContaining({ code: "invalid-file" });
  expect(() => tensorFromBytes("float32", [2], new Uint8Array(7))).toThrow(invalid);
  expect(() => tensorFromBytes("bool", [2], new Uint8Array([1, 2]))).toThrow(invalid);
});

test("hasDType narrows the data", () => {
  const value: Tensor = zeros("float16", [1]);
  expect(hasDType(value, "float16") && value.data.BYTES_PER_ELEMENT === 2).toBe(true);
  expect(hasDType(value, "bfloat16")).toBe(false);
});

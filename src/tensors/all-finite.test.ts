import { expect, test } from "vitest";
import { allFinite } from "./all-finite.js";
import { tensor } from "./tensor.js";

test("finds NaN and infinities in every float format", () => {
  const float32 = (...numbers: number[]) => tensor("float32", [numbers.length], Float32Array.from(numbers));
  expect(allFinite(float32())).toBe(true);
  expect(allFinite(float32(3.4e38, -0, 1e-45))).toBe(true);
  expect(allFinite(float32(1, Number.NaN))).toBe(false);
  expect(allFinite(float32(Number.NEGATIVE_INFINITY, 1))).toBe(false);
  expect(allFinite(tensor("float64", [1], Float64Array.of(1e308)))).toBe(true);
  expect(allFinite(tensor("float64", [1], Float64Array.of(Number.NaN)))).toBe(false);
  expect(allFinite(tensor("float16", [2], Uint16Array.of(0x7bff, 0xfbff)))).toBe(true);
  expect(allFinite(tensor("float16", [1], Uint16Array.of(0xfc00)))).toBe(false);
  expect(allFinite(tensor("float16", [1], Uint16Array.of(0x7e00)))).toBe(false);
  expect(allFinite(tensor("bfloat16", [2], Uint16Array.of(0x7f7f, 0x7c00)))).toBe(true);
  expect(allFinite(tensor("bfloat16", [1], Uint16Array.of(0xff80)))).toBe(false);
  expect(allFinite(tensor("int64", [1], BigInt64Array.of(1n)))).toBe(true);
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { bfloat16ToFloat32, castTensor, float16ToFloat32, float32ToBfloat16, float32ToFloat16 } from "./convert.js";
import type { FloatDType } from "./dtype.js";
import { tensor, zeros } from "./tensor.js";

interface Format {
  readonly dtype: "float16" | "bfloat16";
  readonly mantissaBits: number;
  readonly bias: number;
  readonly infinity: number;
  readonly widen: (source: Uint16Array) => Float32Array;
  readonly narrow: (source: Float32Array) => Uint16Array;
}

const FORMATS: readonly Format[] = [
  { dtype: "float16", mantissaBits: 10, bias: 15, infinity: 0x7c00, widen: float16ToFloat32, narrow: float32ToFloat16 },
  {
    dtype: "bfloat16",
    mantissaBits: 7,
    bias: 127,
    infinity: 0x7f80,
    widen: bfloat16ToFloat32,
    narrow: float32ToBfloat16,
  },
];

/** The value of 16 bits, by the definition of the format; infinity counts as the next power of two for rounding. */
function slowValue(bits: number, { mantissaBits, bias, infinity }: Format): number {
  const magnitude = bits & 0x7fff;
  const exponent = magnitude >>> mantissaBits;
  const mantissa = magnitude & ((1 << mantissaBits) - 1);
  if (magnitude > infinity) return Number.NaN;
  const unit = 2 ** (Math.max(exponent, 1) - bias - mantissaBits);
  const value = (mantissa + (exponent === 0 ? 0 : 1 << mantissaBits)) * unit;
  return bits & 0x8000 ? -value : value;
}

/** Nearest bits by search over all magnitudes, ties to the even pattern. */
function slowBits(value: number, format: Format): number {
  const sign = Object.is(Math.sign(value), -0) || value < 0 ? 0x8000 : 0;
  const wanted = Math.abs(value);
  let low = 0;
  let high = format.infinity;
  if (wanted >= slowValue(high, format)) return sign | high;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (slowValue(middle, format) <= wanted) low = middle;
    else high = middle;
  }
  // Exact: both differences are between doubles within a factor of two, or one operand is zero.
  const below = wanted - slowValue(low, format);
  const above = slowValue(high, format) - wanted;
  if (below === above) return sign | (low % 2 === 0 ? low : high);
  return sign | (below < above ? low : high);
}

/** Doubles on, and one step beside, the points halfway between neighbours, where rounding goes wrong first. */
function* criticalDoubles(format: Format, count: number): Iterable<number> {
  const step = Math.max(1, Math.floor(format.infinity / count));
  const view = new DataView(new ArrayBuffer(8));
  for (let bits = 0; bits < format.infinity; bits += step) {
    const middle = (slowValue(bits, format) + slowValue(bits + 1, format)) / 2;
    view.setFloat64(0, middle);
    for (const shift of [-1n, 0n, 1n]) {
      const moved = new DataView(new ArrayBuffer(8));
      moved.setBigUint64(0, view.getBigUint64(0) + shift);
      yield moved.getFloat64(0);
      yield -moved.getFloat64(0);
    }
  }
}

for (const format of FORMATS) {
  const { dtype, widen, narrow, infinity } = format;
  const all = new Uint16Array(0x10000).map((_, index) => index);

  test(`${dtype}: all 65,536 patterns widen to their value and come back`, () => {
    const wide = widen(all);
    const back = narrow(wide);
    for (const bits of all) {
      const value = wide[bits] ?? 0;
      const magnitude = bits & 0x7fff;
      const sign = bits & 0x8000 ? -1 : 1;
      const expected = magnitude === infinity ? sign * Number.POSITIVE_INFINITY : slowValue(bits, format);
      if (!Object.is(value, expected)) expect.unreachable(`${bits}: ${value}, expected ${expected}`);
      const quiet = magnitude > infinity ? bits | (1 << (format.mantissaBits - 1)) : bits;
      if (back[bits] !== quiet) expect.unreachable(`${bits} came back as ${back[bits]}`);
    }
  });

  test(`${dtype}: float32 rounds as the slow oracle does`, () => {
    const view = new DataView(new ArrayBuffer(4));
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (pattern) => {
        view.setUint32(0, pattern);
        const value = view.getFloat32(0);
        const [bits = 0] = narrow(new Float32Array([value]));
        if (Number.isNaN(value)) expect(bits & 0x7fff).toBeGreaterThan(infinity);
        else expect(bits).toBe(slowBits(value, format));
      }),
      { numRuns: 3000 },
    );
    const critical = [...criticalDoubles(format, 4000)].map(Math.fround);
    const rounded = narrow(new Float32Array(critical));
    for (const [index, value] of critical.entries()) {
      if (rounded[index] !== slowBits(value, format)) expect.unreachable(`${value} became ${rounded[index]}`);
    }
  });

  test(`${dtype}: float64 is rounded once, not by way of float32`, () => {
    const critical = [...criticalDoubles(format, 4000), 0, -0, 1e300, -1e300, 5e-324, 1e-46, Number.POSITIVE_INFINITY];
    const rounded = castTensor(tensor("float64", [critical.length], new Float64Array(critical)), dtype).data;
    for (const [index, value] of critical.entries()) {
      if (rounded[index] !== slowBits(value, format)) expect.unreachable(`${value} became ${rounded[index]}`);
    }
    const notANumber = castTensor(tensor("float64", [1], new Float64Array([Number.NaN])), dtype).data;
    expect((notANumber[0] ?? 0) & 0x7fff).toBeGreaterThan(infinity);
  });
}

test("casting widens without loss through every pair of formats", () => {
  const values = new Float64Array([0, -0, 1, -1.5, 0.0625, 96, Number.POSITIVE_INFINITY, Number.NaN]); // exact in all
  const formats: readonly FloatDType[] = ["float32", "float64", "float16", "bfloat16"];
  for (const from of formats) {
    for (const to of formats) {
      const source = castTensor(tensor("float64", [2, 4], values), from);
      const cast = castTensor(source, to);
      expect(cast).toMatchObject({ dtype: to, shape: [2, 4] });
      expect(castTensor(cast, "float64").data).toEqual(values);
      if (from === to) expect(cast).toBe(source);
    }
  }
  expect(() => castTensor(zeros("int32", [1]), "float32")).toThrow(expect.objectContaining({ code: "unsupported" }));
});

test("a view into a larger buffer is converted in place of its own range", () => {
  const whole = new Float32Array([9, 1, 2, 9]);
  expect([...float32ToFloat16(whole.subarray(1, 3))]).toEqual([0x3c00, 0x4000]);
  expect([...float32ToBfloat16(whole.subarray(1, 3))]).toEqual([0x3f80, 0x4000]);
});

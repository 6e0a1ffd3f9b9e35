/**
 * Exact conversions between floating formats: IEEE 754 round to nearest, ties to even, with subnormals, infinities and
 * NaN (the sign and leading payload bits are kept, signalling NaN become quiet when narrowed).
 */
import { CadreError } from "../core/errors.js";
import { type DType, type FloatDType, isFloatDType } from "./dtype.js";
import { hasDType, type Tensor, tensor } from "./tensor.js";

/** Widens IEEE half precision bits; every value is exact. */
export function float16ToFloat32(source: Uint16Array): Float32Array {
  float16Table ??= createFloat16Table();
  const result = new Uint32Array(source.length);
  for (let index = 0; index < source.length; index += 1) result[index] = float16Table[source[index] ?? 0] ?? 0;
  return new Float32Array(result.buffer);
}

/** Widens bfloat16 bits; every value is exact. */
export function bfloat16ToFloat32(source: Uint16Array): Float32Array {
  const result = new Uint32Array(source.length);
  for (let index = 0; index < source.length; index += 1) result[index] = (source[index] ?? 0) << 16;
  return new Float32Array(result.buffer);
}

/** Rounds to IEEE half precision bits. Values of 65,520 and more become infinite, of 2^-25 and less zero. */
export function float32ToFloat16(source: Float32Array): Uint16Array {
  const bits = new Uint32Array(source.buffer, source.byteOffset, source.length);
  const result = new Uint16Array(source.length);
  for (let index = 0; index < bits.length; index += 1) result[index] = float16Bits(bits[index] ?? 0);
  return result;
}

/** Rounds to bfloat16 bits. */
export function float32ToBfloat16(source: Float32Array): Uint16Array {
  const bits = new Uint32Array(source.buffer, source.byteOffset, source.length);
  const result = new Uint16Array(source.length);
  for (let index = 0; index < bits.length; index += 1) {
    const value = bits[index] ?? 0;
    const isNotANumber = (value & 0x7fffffff) > 0x7f800000;
    // Adding just under half of the last kept bit, plus that bit, rounds ties to even; the carry may reach infinity.
    result[index] = isNotANumber ? (value >>> 16) | 0x40 : (value + 0x7fff + ((value >>> 16) & 1)) >>> 16;
  }
  return result;
}

/**
 * The tensor in another floating format, rounded once. A tensor that already has the dtype comes back as it is.
 * @throws CadreError `unsupported` when either dtype is not a floating format.
 */
export function castTensor<D extends FloatDType>(source: Tensor, dtype: D): Tensor<D>;
export function castTensor(source: Tensor, dtype: FloatDType): Tensor {
  if (source.dtype === dtype) return source;
  if (!isFloatDType(source.dtype) || !isFloatDType(dtype)) {
    throw new CadreError("unsupported", `cast: expected floating formats, found ${source.dtype} to ${dtype}`);
  }
  if (dtype === "float64") return tensor(dtype, source.shape, Float64Array.from(toFloat32(source)));
  if (dtype === "float32") return tensor(dtype, source.shape, toFloat32(source));
  const values = hasDType(source, "float64") ? roundToOdd(source.data) : toFloat32(source);
  const narrow = dtype === "float16" ? float32ToFloat16(values) : float32ToBfloat16(values);
  return tensor(dtype, source.shape, narrow);
}

function toFloat32(source: Tensor): Float32Array {
  if (hasDType(source, "float32")) return source.data;
  if (hasDType(source, "float64")) return Float32Array.from(source.data);
  if (hasDType(source, "float16")) return float16ToFloat32(source.data);
  if (hasDType(source, "bfloat16")) return bfloat16ToFloat32(source.data);
  return unreachable(source.dtype);
}

let float16Table: Uint32Array | undefined;

/** The float32 bits of all 65,536 half precision values, 256 KiB. */
function createFloat16Table(): Uint32Array {
  const table = new Uint32Array(0x10000);
  const scale = new Float32Array(1);
  const scaleBits = new Uint32Array(scale.buffer);
  for (let half = 0; half < 0x10000; half += 1) {
    const sign = (half & 0x8000) << 16;
    const exponent = (half >>> 10) & 0x1f;
    const mantissa = half & 0x3ff;
    if (exponent === 0) {
      scale[0] = mantissa * 2 ** -24;
      table[half] = sign | (scaleBits[0] ?? 0);
    } else {
      const widened = exponent === 0x1f ? 0xff : exponent - 15 + 127;
      table[half] = sign | (widened << 23) | (mantissa << 13);
    }
  }
  return table;
}

function float16Bits(value: number): number {
  const sign = (value >>> 16) & 0x8000;
  const magnitude = value & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x3ff);
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // 65,520, halfway between the largest half and the next power
  if (magnitude >= 0x38800000) {
    // 2^-14 and more, the normal halves: move the exponent's bias from 127 to 15, then round 13 bits away
    const rebiased = magnitude - (112 << 23);
    return sign | ((rebiased + 0xfff + ((rebiased >>> 13) & 1)) >>> 13);
  }
  if (magnitude <= 0x33000000) return sign; // 2^-25, halfway between zero and the smallest half
  // Subnormal halves are multiples of 2^-24: shift the mantissa, with its hidden bit, until its unit is that.
  const mantissa = (magnitude & 0x7fffff) | 0x800000;
  const shift = 126 - (magnitude >>> 23);
  const kept = mantissa >>> shift;
  const dropped = mantissa & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  const up = dropped > half || (dropped === half && (kept & 1) === 1);
  return sign | (up ? kept + 1 : kept);
}

/**
 * float32 values that round to a 16-bit format exactly as the float64 values would. Rounding twice to nearest can go
 * wrong at a tie; an inexact value is therefore rounded to its odd neighbour, which is never a tie of a narrower format.
 */
function roundToOdd(source: Float64Array): Float32Array {
  const result = Float32Array.from(source);
  const bits = new Uint32Array(result.buffer);
  for (let index = 0; index < source.length; index += 1) {
    const exact = source[index] ?? 0;
    const rounded = result[index] ?? 0;
    const pattern = bits[index] ?? 0;
    if (exact === rounded || Number.isNaN(exact) || (pattern & 1) === 1) continue;
    bits[index] = Math.abs(rounded) < Math.abs(exact) ? pattern + 1 : pattern - 1;
  }
  return result;
}

function unreachable(dtype: DType): never {
  throw new CadreError("internal", `cast: no rule for ${dtype}`);
}

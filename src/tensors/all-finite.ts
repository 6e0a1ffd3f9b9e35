import type { Tensor } from "./tensor.js";

/** True when a float tensor holds neither NaN nor an infinity; tensors of other dtypes always pass. */
export function allFinite({ dtype, data }: Tensor): boolean {
  switch (dtype) {
    case "float32":
    case "float64":
      for (const value of data) if (!Number.isFinite(value)) return false;
      return true;
    case "float16":
    case "bfloat16": {
      // An exponent of all ones means infinite or NaN.
      const exponent = dtype === "float16" ? 0x7c00 : 0x7f80;
      for (const bits of data) if ((Number(bits) & exponent) === exponent) return false;
      return true;
    }
    default:
      return true;
  }
}

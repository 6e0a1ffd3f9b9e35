import { CadreError } from "./errors.js";

/**
 * The element of an array or typed array at an index, for places where the index is known to be in range.
 * @param index 0 to `array.length - 1`; negative indices do not count from the end.
 * @throws CadreError `internal` when there is no element there (or the element is `undefined`).
 */
export function at<T>(array: ArrayLike<T>, index: number): T {
  const value = array[index];
  if (value === undefined) {
    throw new CadreError("internal", `index ${index}: expected 0 to ${array.length - 1}`, {
      details: { index, length: array.length },
    });
  }
  return value;
}

import { CadreError } from "../core/errors.js";

/** A dimension: its size, or the name of a size that is known only at run time. */
export type Dim = number | string;

/** Stands for a size that nothing names and that a reshape works out from the number of elements (ONNX's -1). */
export const INFERRED_DIM = "?";

/** A shape, outermost dimension first; `[]` is a scalar. */
export type Shape = readonly Dim[];

/** Writes a shape the way messages show it: `[batch, 12, 64]`. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** True if both shapes have equal sizes, or equal names, in every dimension. */
export function sameShape(left: Shape, right: Shape): boolean {
  return left.length === right.length && left.every((dim, axis) => dim === right[axis]);
}

/** Resolves a possibly negative axis against a rank. @throws CadreError `invalid-argument` outside the rank. */
export function normalizeAxis(axis: number, rank: number, op: string): number {
  const resolved = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || resolved < 0 || resolved >= rank) {
    throw new CadreError("invalid-argument", `${op}: expected an axis between ${-rank} and ${rank - 1}, got ${axis}`);
  }
  return resolved;
}

/** The size at an axis (negative counts from the end). @throws CadreError `invalid-argument` outside the rank. */
export function dimAt(shape: Shape, axis: number, op: string): Dim {
  const dim = shape[normalizeAxis(axis, shape.length, op)];
  if (dim === undefined) {
    throw new CadreError("internal", `${op}: shape ${formatShape(shape)} has no axis ${axis}`);
  }
  return dim;
}

/** The numeric size at an axis. @throws CadreError `invalid-argument` where the size is symbolic. */
export function sizeAt(shape: Shape, axis: number, op: string): number {
  const dim = dimAt(shape, axis, op);
  if (typeof dim !== "number") {
    throw new CadreError("invalid-argument", `${op}: expected a fixed size at axis ${axis}, got ${formatShape(shape)}`);
  }
  return dim;
}

/** The shape of an element-wise operation's result (NumPy broadcasting). @throws CadreError `invalid-argument`. */
export function broadcastShapes(left: Shape, right: Shape, op: string): Shape {
  const rank = Math.max(left.length, right.length);
  const result: Dim[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const leftDim = left[axis - (rank - left.length)] ?? 1;
    const rightDim = right[axis - (rank - right.length)] ?? 1;
    if (leftDim !== rightDim && leftDim !== 1 && rightDim !== 1) {
      throw new CadreError(
        "invalid-argument",
        `${op}: expected shapes that broadcast, got ${formatShape(left)} and ${formatShape(right)}`,
      );
    }
    result.push(leftDim === 1 ? rightDim : leftDim);
  }
  return result;
}

/** The axes of `shape` over which a value of shape `target` was broadcast. */
export function broadcastAxes(shape: Shape, target: Shape): number[] {
  const offset = shape.length - target.length;
  return shape.flatMap((dim, axis) => {
    const targetDim = axis < offset ? 1 : target[axis - offset];
    return axis < offset || (targetDim === 1 && dim !== 1) ? [axis] : [];
  });
}

/** The shape after reducing some axes. */
export function reducedShape(shape: Shape, axes: readonly number[], keepDims: boolean): Shape {
  return shape.flatMap((dim, axis) => (axes.includes(axis) ? (keepDims ? [1] : []) : [dim]));
}

/** The number of elements of a fixed shape. @throws CadreError `invalid-argument` where a size is symbolic. */
export function fixedElementCount(shape: Shape, op: string): number {
  return shape.reduce<number>((count, _, axis) => count * sizeAt(shape, axis, op), 1);
}

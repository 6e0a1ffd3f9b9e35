import { CadreError } from "../../core/errors.js";
import { emitOne, expectRank, graphOf, type Value } from "../graph.js";
import { broadcastShapes, dimAt, formatShape, type Shape } from "../shape.js";
import { add, mul } from "./elementwise.js";
import { joinedDim, reshapeNode, sumTo, transposeNode } from "./primitives.js";

/** Options of `matmul`. */
export interface MatmulOptions {
  /** Swap the last two axes of the left side first; default false. */
  readonly transposeA?: boolean;
  /** Swap the last two axes of the right side first; default false. */
  readonly transposeB?: boolean;
  /** Factor of the product; default 1. */
  readonly alpha?: number;
}

/**
 * `alpha · left · right` over the last two axes; leading axes broadcast.
 *
 * In float32 transpositions and the factor go into ONNX Runtime's FusedMatMul (or Gemm for matrices) and cost nothing; in float64, which
 * only gradient checks use, they are separate nodes.
 */
export function matmul(left: Value, right: Value, options: MatmulOptions = {}): Value {
  const { transposeA = false, transposeB = false, alpha = 1 } = options;
  const shape = productShape(left, right, transposeA, transposeB);
  const output = product(left, right, { transposeA, transposeB, alpha }, shape);
  output.graph.record({
    label: "matmul",
    inputs: [left, right],
    outputs: [output],
    backward: ([gradient], needed) => {
      if (gradient === undefined) {
        return [];
      }
      const flat = right.shape.length === 2 && left.shape.length > 2 && !transposeA;
      return [
        needed[0] ? sumTo(leftGradient(gradient, right, { transposeA, transposeB, alpha }), left.shape) : undefined,
        needed[1]
          ? sumTo(
              rightGradient(flat ? asMatrix(gradient) : gradient, flat ? asMatrix(left) : left, {
                transposeA,
                transposeB,
                alpha,
              }),
              right.shape,
            )
          : undefined,
      ];
    },
  });
  return output;
}

/** Options of `gemm`. */
export interface GemmOptions extends MatmulOptions {
  /** Factor of the addend; default 1. */
  readonly beta?: number;
}

/** `alpha · left · right + beta · addend` for matrices; the addend broadcasts to `[rows, columns]`. */
export function gemm(left: Value, right: Value, addend: Value, options: GemmOptions = {}): Value {
  const { transposeA = false, transposeB = false, alpha = 1, beta = 1 } = options;
  expectRank("gemm", "the left side", left, 2);
  expectRank("gemm", "the right side", right, 2);
  const shape = productShape(left, right, transposeA, transposeB);
  if (formatShape(broadcastShapes(shape, addend.shape, "gemm")) !== formatShape(shape)) {
    throw new CadreError(
      "invalid-argument",
      `gemm: expected an addend that broadcasts to ${formatShape(shape)}, got ${formatShape(addend.shape)}`,
    );
  }
  const graph = graphOf("gemm", left, right, addend);
  const output = isColumn(shape)
    ? graph.untaped(() => add(product(left, right, { transposeA, transposeB, alpha }, shape), mul(addend, beta)))
    : emitOne(
        graph,
        {
          opType: "Gemm",
          inputs: [left, right, addend],
          attributes: {
            transA: { int: transposeA ? 1 : 0 },
            transB: { int: transposeB ? 1 : 0 },
            alpha: { float: alpha },
            beta: { float: beta },
          },
        },
        left.dtype,
        shape,
      );
  graph.record({
    label: "gemm",
    inputs: [left, right, addend],
    outputs: [output],
    backward: ([gradient], needed) => {
      if (gradient === undefined) {
        return [];
      }
      const resolved = { transposeA, transposeB, alpha };
      return [
        needed[0] ? leftGradient(gradient, right, resolved) : undefined,
        needed[1] ? rightGradient(gradient, left, resolved) : undefined,
        needed[2] ? sumTo(beta === 1 ? gradient : mul(gradient, beta), addend.shape) : undefined,
      ];
    },
  });
  return output;
}

type Resolved = Required<MatmulOptions>;

// With A' = op(A), B' = op(B): dA' = alpha · dY · B'ᵀ and dB' = alpha · A'ᵀ · dY; a transposed operand takes the transposed product.

function leftGradient(gradient: Value, right: Value, { transposeA, transposeB, alpha }: Resolved): Value {
  return transposeA
    ? untapedMatmul(right, gradient, { transposeA: transposeB, transposeB: true, alpha })
    : untapedMatmul(gradient, right, { transposeA: false, transposeB: !transposeB, alpha });
}

function rightGradient(gradient: Value, left: Value, { transposeA, transposeB, alpha }: Resolved): Value {
  return transposeB
    ? untapedMatmul(gradient, left, { transposeA: true, transposeB: transposeA, alpha })
    : untapedMatmul(left, gradient, { transposeA: !transposeA, transposeB: false, alpha });
}

function untapedMatmul(left: Value, right: Value, options: Resolved): Value {
  return product(left, right, options, productShape(left, right, options.transposeA, options.transposeB));
}

function productShape(left: Value, right: Value, transposeA: boolean, transposeB: boolean): Shape {
  const complain = (): never => {
    const text = (value: Value, transposed: boolean) => `${formatShape(value.shape)}${transposed ? "ᵀ" : ""}`;
    throw new CadreError(
      "invalid-argument",
      `matmul: expected [..., m, k] · [..., k, n] of one dtype, got ${left.dtype} ${text(left, transposeA)} · ${right.dtype} ${text(right, transposeB)}`,
    );
  };
  if (left.shape.length < 2 || right.shape.length < 2 || left.dtype !== right.dtype) {
    return complain();
  }
  const rows = dimAt(left.shape, transposeA ? -1 : -2, "matmul");
  const inner = dimAt(left.shape, transposeA ? -2 : -1, "matmul");
  const otherInner = dimAt(right.shape, transposeB ? -1 : -2, "matmul");
  const columns = dimAt(right.shape, transposeB ? -2 : -1, "matmul");
  if (inner !== otherInner) {
    return complain();
  }
  return [...broadcastShapes(left.shape.slice(0, -2), right.shape.slice(0, -2), "matmul"), rows, columns];
}

function product(left: Value, right: Value, options: Resolved, shape: Shape): Value {
  const { transposeA, transposeB, alpha } = options;
  const graph = graphOf("matmul", left, right);
  if (isColumn(shape) && !transposeA && alpha === 1) {
    // [..., k, 1] and [..., 1, k] are the same elements.
    const row = reshapeNode(right, [...right.shape.slice(0, -2), 1, dimAt(left.shape, -1, "matmul")]);
    const swapped = { transposeA: false, transposeB: true, alpha };
    const columns = product(row, left, swapped, [...shape.slice(0, -2), 1, dimAt(shape, -2, "matmul")]);
    return reshapeNode(columns, shape);
  }
  if (left.shape.length === 2 && right.shape.length === 2) {
    return emitOne(
      graph,
      {
        opType: "Gemm",
        inputs: [left, right],
        attributes: {
          transA: { int: transposeA ? 1 : 0 },
          transB: { int: transposeB ? 1 : 0 },
          alpha: { float: alpha },
        },
      },
      left.dtype,
      shape,
    );
  }
  if (!transposeA && !transposeB && alpha === 1) {
    return emitOne(graph, { opType: "MatMul", inputs: [left, right] }, left.dtype, shape);
  }
  if (left.dtype === "float32") {
    return emitOne(
      graph,
      {
        opType: "FusedMatMul",
        domain: "com.microsoft",
        inputs: [left, right],
        attributes: {
          transA: { int: transposeA ? 1 : 0 },
          transB: { int: transposeB ? 1 : 0 },
          alpha: { float: alpha },
        },
      },
      left.dtype,
      shape,
    );
  }
  const inputs = [transposeA ? swapLast(left) : left, transposeB ? swapLast(right) : right];
  const plain = emitOne(graph, { opType: "MatMul", inputs }, left.dtype, shape);
  return alpha === 1
    ? plain
    : emitOne(graph, { opType: "Mul", inputs: [plain, graph.scalar(left.dtype, alpha)] }, left.dtype, shape);
}

/**
 * True for a product of one column and several rows. The CPU provider sums its rows in an order that depends on the number of threads, so it
 * is computed as one row instead, `rightᵀ · leftᵀ`, as fast and with equal bits at 1 to 4 threads.
 */
function isColumn(shape: Shape): boolean {
  return shape.at(-1) === 1 && shape.at(-2) !== 1;
}

function swapLast(value: Value): Value {
  const axes = value.shape.map((_, axis) => axis);
  return transposeNode(value, [...axes.slice(0, -2), axes.length - 1, axes.length - 2]);
}

/** `[..., columns]` as `[rows, columns]`. */
export function asMatrix(value: Value): Value {
  return reshapeNode(value, [joinedDim(value.shape.slice(0, -1)), dimAt(value.shape, -1, "matmul")]);
}

import type { Value } from "../../src/graph/graph.js";
import { geluErf, geluTanh, relu, silu } from "../../src/graph/ops/activations.js";
import { attention, attentionBias } from "../../src/graph/ops/attention.js";
import { linearLogProbability } from "../../src/graph/ops/cross-entropy.js";
import {
  add,
  cast,
  div,
  erf,
  exp,
  log,
  maximum,
  minimum,
  mul,
  neg,
  power,
  reciprocal,
  sigmoid,
  sqrt,
  square,
  sub,
  tanh,
  where,
} from "../../src/graph/ops/elementwise.js";
import { gatherElements, gatherRows, scatterAddRows } from "../../src/graph/ops/gather.js";
import { gemm, matmul } from "../../src/graph/ops/matmul.js";
import { layerNorm, rmsNorm } from "../../src/graph/ops/normalization.js";
import { reduceLogSumExp, reduceMax, reduceMean, reduceSum, reduceSumSquare } from "../../src/graph/ops/reduce.js";
import { concat, expand, reshape, slice, split, transpose } from "../../src/graph/ops/shape-ops.js";
import { logSoftmax, softmax } from "../../src/graph/ops/softmax.js";
import { type Shape, sizeAt } from "../../src/graph/shape.js";

/** One input of an op case. */
export interface OpInput {
  /** Named dimensions get their sizes from the test; the names are those of `LARGE`. */
  readonly shape: Shape;
  /**
   * What is in it. `normal`: -1.5 to 1.5; `positive`: 0.5 to 2; `even`, `odd`: multiples of 0.2, shifted by 0.1 for odd, so that the two
   * never come near each other and odd ones never near 0; `distinct`: no two elements near each other. Not differentiated: `indices`
   * below `below`, of which the last repeats the first; `bool`; `mask`: 0 or -1e4, 0 for the first key; `dropout`: 0 or 1.25; `constant`.
   */
  readonly values: OpValues;
  /** The dimension that indices stay below. */
  readonly below?: string;
  /** Integer dtype of indices; default int64. */
  readonly indexDType?: "int32" | "int64";
}

/** See `OpInput.values`. */
export type OpValues =
  | "normal"
  | "positive"
  | "even"
  | "odd"
  | "distinct"
  | "indices"
  | "bool"
  | "mask"
  | "dropout"
  | "constant";

/** A differentiable operation as the tests build it. */
export interface OpCase {
  readonly name: string;
  readonly inputs: readonly OpInput[];
  readonly build: (...inputs: Value[]) => Value | readonly Value[];
  /** Dimensions that the operation needs as numbers; all others may be symbolic. */
  readonly fixed?: readonly string[];
  /**
   * Bits depend on the number of threads, not on the run: the CPU's Log takes a thread's last few elements by another routine than the rest.
   */
  readonly threadDependent?: boolean;
  /** Sizes for the determinism test where `LARGE` does not fit. */
  readonly large?: Readonly<Record<string, number>>;
  /**
   * For element-wise operations without a float64 kernel on the CPU: value and derivative, against which float32 is checked instead.
   */
  readonly reference?: (x: number) => readonly [value: number, derivative: number];
}

/** Sizes at which ONNX Runtime divides the work of an operator among threads, and unevenly, by dimension name. */
export const LARGE: Readonly<Record<string, number>> = {
  b: 2,
  h: 4,
  n: 515,
  m: 93,
  d: 130,
  q: 65,
  k: 127,
  r: 301,
  c: 1001,
};

const normal = (...shape: Shape): OpInput => ({ shape, values: "normal" });
const positive = (...shape: Shape): OpInput => ({ shape, values: "positive" });
const even = (...shape: Shape): OpInput => ({ shape, values: "even" });
const odd = (...shape: Shape): OpInput => ({ shape, values: "odd" });
const distinct = (...shape: Shape): OpInput => ({ shape, values: "distinct" });
const bool = (...shape: Shape): OpInput => ({ shape, values: "bool" });
const constant = (...shape: Shape): OpInput => ({ shape, values: "constant" });
const indices = (below: string, ...shape: Shape): OpInput => ({ shape, values: "indices", below });
const mask = (...shape: Shape): OpInput => ({ shape, values: "mask" });
const dropout = (...shape: Shape): OpInput => ({ shape, values: "dropout" });

const elementwise: OpCase[] = [
  { name: "add", inputs: [normal("n", "d"), normal("n", "d")], build: add },
  { name: "add, row broadcast", inputs: [normal("b", "n", "d"), normal("d")], build: add },
  { name: "add, both broadcast", inputs: [normal("b", 1, "d"), normal("n", 1)], build: add },
  { name: "add, scalar value", inputs: [normal("n", "d"), normal()], build: add },
  { name: "add, number", inputs: [normal("n", "d")], build: (x) => add(2.5, x) },
  { name: "add, value to itself", inputs: [normal("n", "d")], build: (x) => add(x, x) },
  { name: "sub", inputs: [normal("n", "d"), normal("n", "d")], build: sub },
  { name: "sub, both broadcast", inputs: [normal("b", 1, "d"), normal("n", 1)], build: sub },
  { name: "sub, from a number", inputs: [normal("n", "d")], build: (x) => sub(1, x) },
  { name: "mul", inputs: [normal("n", "d"), normal("n", "d")], build: mul },
  { name: "mul, both broadcast", inputs: [normal("b", 1, "d"), normal("n", 1)], build: mul },
  { name: "mul, column broadcast", inputs: [normal("n", 1), normal("n", "d")], build: mul },
  { name: "mul, number", inputs: [normal("n", "d")], build: (x) => mul(x, -0.3) },
  { name: "div", inputs: [normal("n", "d"), positive("n", "d")], build: div },
  { name: "div, both broadcast", inputs: [normal("b", 1, "d"), positive("n", 1)], build: div },
  { name: "div, of a number", inputs: [positive("n", "d")], build: (x) => div(3, x) },
  { name: "maximum", inputs: [even("n", "d"), odd("n", "d")], build: maximum },
  { name: "maximum, broadcast", inputs: [even("n", 1), odd("b", "n", "d")], build: maximum },
  { name: "maximum, number", inputs: [odd("n", "d")], build: (x) => maximum(x, 0) },
  { name: "minimum", inputs: [even("n", "d"), odd("n", "d")], build: minimum },
  { name: "minimum, broadcast", inputs: [even("b", "n", "d"), odd("d")], build: minimum },
  { name: "minimum, number", inputs: [odd("n", "d")], build: (x) => minimum(0.4, x) },
  { name: "neg", inputs: [normal("n", "d")], build: neg },
  { name: "exp", inputs: [normal("n", "d")], build: exp },
  { name: "log", inputs: [positive("n", "d")], build: log, threadDependent: true },
  { name: "sqrt", inputs: [positive("n", "d")], build: sqrt },
  { name: "reciprocal", inputs: [positive("n", "d")], build: reciprocal },
  { name: "square", inputs: [normal("n", "d")], build: square },
  { name: "tanh", inputs: [normal("n", "d")], build: tanh },
  { name: "sigmoid", inputs: [normal("n", "d")], build: sigmoid },
  {
    name: "erf",
    inputs: [normal("n", "d")],
    build: erf,
    reference: (x) => [erfOf(x), (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x)],
  },
  { name: "power 3", inputs: [normal("n", "d")], build: (x) => power(x, 3) },
  { name: "power -1.5", inputs: [positive("n", "d")], build: (x) => power(x, -1.5) },
  { name: "where", inputs: [bool("n", "d"), normal("n", "d"), normal("n", "d")], build: where },
  { name: "where, broadcast", inputs: [bool("n", 1), normal("d"), normal("b", 1, 1)], build: where },
  { name: "where, number", inputs: [bool("n", "d"), normal("n", "d")], build: (test, x) => where(test, -1, x) },
  {
    name: "cast",
    inputs: [normal("n", "d")],
    // Through the other of float32 and float64, and back.
    build: (x) => cast(square(cast(x, x.dtype === "float32" ? "float64" : "float32")), x.dtype),
    reference: (x) => [x * x, 2 * x],
  },
];

const activations: OpCase[] = [
  { name: "relu", inputs: [odd("n", "d")], build: relu },
  { name: "geluTanh", inputs: [normal("n", "d")], build: geluTanh },
  {
    name: "geluErf",
    inputs: [normal("n", "d")],
    build: geluErf,
    reference: (x) => {
      const cumulative = (1 + erfOf(x * Math.SQRT1_2)) / 2;
      return [x * cumulative, cumulative + (x * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI)];
    },
  },
  { name: "silu", inputs: [normal("n", "d")], build: silu },
];

const reductions: OpCase[] = [
  { name: "reduceSum, all", inputs: [normal("b", "n", "d")], build: (x) => reduceSum(x) },
  { name: "reduceSum, middle axis", inputs: [normal("b", "n", "d")], build: (x) => reduceSum(x, [1]) },
  { name: "reduceSum, first and last", inputs: [normal("b", "n", "d")], build: (x) => reduceSum(x, [0, -1]) },
  { name: "reduceSum, two middle axes", inputs: [normal("b", "q", 2, "n")], build: (x) => reduceSum(x, [1, 2]) },
  { name: "reduceSum, first and third", inputs: [normal("q", "b", "n", "h")], build: (x) => reduceSum(x, [0, 2]) },
  {
    name: "reduceSum, kept axis",
    inputs: [normal("b", "n", "d")],
    build: (x) => reduceSum(x, [-1], { keepDims: true }),
  },
  { name: "reduceSum, no axis", inputs: [normal("n", "d")], build: (x) => reduceSum(x, []) },
  { name: "reduceSum, scalar", inputs: [normal()], build: (x) => reduceSum(x) },
  { name: "reduceMean, all", inputs: [normal("n", "d")], build: (x) => reduceMean(x), fixed: ["n", "d"] },
  { name: "reduceMean, last axis", inputs: [normal("b", "n", "d")], build: (x) => reduceMean(x, [-1]), fixed: ["d"] },
  {
    name: "reduceMean, kept axis",
    inputs: [normal("b", "n", "d")],
    build: (x) => reduceMean(x, [1], { keepDims: true }),
    fixed: ["n"],
  },
  { name: "reduceMax, all", inputs: [distinct("n", "d")], build: (x) => reduceMax(x) },
  { name: "reduceMax, last axis", inputs: [distinct("b", "n", "d")], build: (x) => reduceMax(x, [-1]) },
  {
    name: "reduceMax, kept axis",
    inputs: [distinct("b", "n", "d")],
    build: (x) => reduceMax(x, [1], { keepDims: true }),
  },
  { name: "reduceMax, no axis", inputs: [distinct("n", "d")], build: (x) => reduceMax(x, []) },
  { name: "reduceSumSquare, all", inputs: [normal("n", "d")], build: (x) => reduceSumSquare(x) },
  { name: "reduceSumSquare, last axis", inputs: [normal("b", "n", "d")], build: (x) => reduceSumSquare(x, [-1]) },
  { name: "reduceSumSquare, middle axis", inputs: [normal("b", "n", "d")], build: (x) => reduceSumSquare(x, [1]) },
  {
    name: "reduceSumSquare, kept axes",
    inputs: [normal("b", "n", "d")],
    build: (x) => reduceSumSquare(x, [0, 1], { keepDims: true }),
  },
  { name: "reduceSumSquare, no axis", inputs: [normal("n", "d")], build: (x) => reduceSumSquare(x, []) },
  { name: "reduceLogSumExp, all", inputs: [normal("n", "d")], build: (x) => reduceLogSumExp(x) },
  { name: "reduceLogSumExp, last axis", inputs: [normal("b", "n", "d")], build: (x) => reduceLogSumExp(x, [-1]) },
  {
    name: "reduceLogSumExp, kept axis",
    inputs: [normal("b", "n", "d")],
    build: (x) => reduceLogSumExp(x, [1], { keepDims: true }),
  },
];

const shapes: OpCase[] = [
  {
    name: "reshape, joins axes",
    inputs: [normal("n", "b", "m")],
    build: (x) => reshape(x, [...x.shape.slice(0, 1), sizeAt(x.shape, 1, "test") * sizeAt(x.shape, 2, "test")]),
    fixed: ["b", "m"],
  },
  {
    name: "reshape, other order",
    inputs: [normal("b", "n", "m")],
    build: (x) => reshape(x, [...x.shape.slice(1, 2), 1, ...x.shape.slice(0, 1), ...x.shape.slice(2)]),
  },
  { name: "transpose", inputs: [normal("b", "n", "m")], build: (x) => transpose(x, [2, 0, 1]) },
  { name: "transpose, heads", inputs: [normal("b", "q", "h", "k")], build: (x) => transpose(x, [0, 2, 1, 3]) },
  {
    name: "expand",
    inputs: [normal(1, "d"), constant("b", "n", "d")],
    build: (x, like) => mul(expand(x, like.shape), like),
  },
  {
    name: "expand, scalar",
    inputs: [normal(), constant("n", "d")],
    build: (x, like) => mul(expand(x, like.shape), like),
  },
  {
    name: "slice",
    inputs: [normal("n", "d")],
    build: (x) => slice(x, { axis: 1, start: 0, end: Math.ceil(sizeAt(x.shape, 1, "test") / 2) }),
    fixed: ["d"],
    large: { n: 1024 },
  },
  {
    name: "slice, last element of the first axis",
    inputs: [normal("n", "d")],
    build: (x) => slice(x, { axis: 0, start: sizeAt(x.shape, 0, "test") - 1, end: sizeAt(x.shape, 0, "test") }),
    fixed: ["n"],
  },
  {
    name: "concat",
    inputs: [normal("n", "d"), normal("n", "m"), normal("n", 2)],
    build: (...parts) => concat(parts, -1),
    fixed: ["d", "m"],
  },
  {
    name: "concat, first axis",
    inputs: [normal("n", "d"), normal("b", "d")],
    build: (...parts) => concat(parts, 0),
    fixed: ["n", "b"],
  },
  { name: "concat, value twice", inputs: [normal("n", "d")], build: (x) => concat([x, x], 1), fixed: ["d"] },
  {
    name: "split",
    inputs: [normal("n", "d", 5)],
    build: (x) => split(x, [2, 1, 2], -1),
  },
  {
    name: "split, one part used",
    inputs: [normal("n", "d", 5)],
    build: (x) => split(x, [2, 1, 2], -1).slice(2),
  },
];

/** All eight combinations of transposition and factor. */
function productCases(
  name: string,
  shape: (transposeA: boolean, transposeB: boolean) => readonly OpInput[],
  large?: Readonly<Record<string, number>>,
): OpCase[] {
  const cases: OpCase[] = [];
  for (const transposeA of [false, true]) {
    for (const transposeB of [false, true]) {
      for (const alpha of [1, 0.375]) {
        const options = `${transposeA ? " Aᵀ" : ""}${transposeB ? " Bᵀ" : ""}${alpha === 1 ? "" : " alpha"}`;
        cases.push({
          name: `matmul ${name}${options}`,
          inputs: shape(transposeA, transposeB),
          build: (a, b) => matmul(a, b, { transposeA, transposeB, alpha }),
          ...(large === undefined ? {} : { large }),
        });
      }
    }
  }
  return cases;
}

const swap = (transposed: boolean, rows: string, columns: string): Shape =>
  transposed ? [columns, rows] : [rows, columns];

const products: OpCase[] = [
  ...productCases("2-D", (a, b) => [normal(...swap(a, "n", "d")), normal(...swap(b, "d", "m"))]),
  ...productCases("3-D × 2-D", (a, b) => [normal("b", ...swap(a, "n", "d")), normal(...swap(b, "d", "m"))]),
  ...productCases("4-D", (a, b) => [normal("b", "h", ...swap(a, "q", "d")), normal("b", "h", ...swap(b, "d", "k"))]),
  ...productCases("broadcast batches", (a, b) => [
    normal("b", 1, ...swap(a, "q", "d")),
    normal("h", ...swap(b, "d", "k")),
  ]),
  ...productCases("2-D × 3-D", (a, b) => [normal(...swap(a, "n", "d")), normal("b", ...swap(b, "d", "m"))]),
  { name: "matmul, one column", inputs: [normal("n", "d"), normal("d", 1)], build: (a, b) => matmul(a, b) },
  {
    name: "matmul, batches of one column",
    inputs: [normal("b", "n", "d"), normal("d", 1)],
    build: (a, b) => matmul(a, b),
    large: { n: 333 },
  },
  {
    name: "matmul Bᵀ, one batch of one column",
    inputs: [normal(1, "n", "d"), normal(1, 1, "d")],
    build: (a, b) => matmul(a, b, { transposeB: true }),
    large: { n: 999 },
  },
  { name: "matmul, one row", inputs: [normal(1, "n"), normal("n", "d")], build: (a, b) => matmul(a, b) },
  {
    name: "gemm, one column",
    inputs: [normal("n", "d"), normal("d", 1), normal(1)],
    build: (a, b, c) => gemm(a, b, c, { beta: 2 }),
    large: { n: 999 },
  },
  { name: "matmul with itself", inputs: [normal("n", "d")], build: (x) => matmul(x, x, { transposeB: true }) },
  {
    name: "gemm, row",
    inputs: [normal("n", "d"), normal("d", "m"), normal("m")],
    build: (a, b, c) => gemm(a, b, c),
  },
  {
    name: "gemm Aᵀ alpha, column",
    inputs: [normal("d", "n"), normal("d", "m"), normal("n", 1)],
    build: (a, b, c) => gemm(a, b, c, { transposeA: true, alpha: 0.5, beta: -2 }),
  },
  {
    name: "gemm Bᵀ, matrix",
    inputs: [normal("n", "d"), normal("m", "d"), normal("n", "m")],
    build: (a, b, c) => gemm(a, b, c, { transposeB: true, beta: 0.25 }),
  },
  {
    name: "gemm Aᵀ Bᵀ, scalar",
    inputs: [normal("d", "n"), normal("m", "d"), normal()],
    build: (a, b, c) => gemm(a, b, c, { transposeA: true, transposeB: true, alpha: -1.5 }),
  },
];

const normalizations: OpCase[] = [
  { name: "softmax", inputs: [normal("b", "n", "d")], build: (x) => softmax(x) },
  { name: "softmax, middle axis", inputs: [normal("b", "n", "d")], build: (x) => softmax(x, 1) },
  { name: "logSoftmax", inputs: [normal("b", "n", "d")], build: (x) => logSoftmax(x) },
  { name: "logSoftmax, first axis", inputs: [normal("n", "d")], build: (x) => logSoftmax(x, 0) },
  {
    name: "rmsNorm",
    inputs: [normal("b", "n", "d"), normal("d")],
    build: (x, weight) => rmsNorm(x, weight, 1e-2),
    fixed: ["d"],
  },
  {
    name: "rmsNorm, vector",
    inputs: [normal("d"), normal("d")],
    build: (x, weight) => rmsNorm(x, weight, 1e-2),
    fixed: ["d"],
    large: { d: 65_536 },
  },
  {
    name: "layerNorm",
    inputs: [normal("b", "n", "d"), normal("d"), normal("d")],
    build: (x, weight, bias) => layerNorm(x, weight, bias, 1e-2),
    fixed: ["d"],
  },
  {
    name: "layerNorm, vector",
    inputs: [normal("d"), normal("d"), normal("d")],
    build: (x, weight, bias) => layerNorm(x, weight, bias, 1e-2),
    fixed: ["d"],
    large: { d: 65_536 },
  },
];

const gathers: OpCase[] = [
  { name: "gatherRows", inputs: [normal("r", "d"), indices("r", "c")], build: gatherRows },
  {
    name: "gatherRows, matrix of int32 indices",
    inputs: [normal("r", "d"), { ...indices("r", "b", "q"), indexDType: "int32" }],
    build: gatherRows,
    large: { b: 8 },
  },
  { name: "gatherRows, one index", inputs: [normal("r", "d"), indices("r")], build: gatherRows },
  { name: "gatherRows, vector", inputs: [normal("r"), indices("r", "c")], build: gatherRows, large: { c: 65_536 } },
  {
    name: "gatherRows, matrices",
    inputs: [normal("r", "b", "m"), indices("r", "c")],
    build: gatherRows,
  },
  {
    name: "scatterAddRows",
    inputs: [normal("r", "d"), indices("r", "c"), normal("c", "d")],
    build: scatterAddRows,
  },
  {
    name: "scatterAddRows, vector of int32 indices",
    inputs: [normal("r"), { ...indices("r", "c"), indexDType: "int32" }, normal("c")],
    build: scatterAddRows,
    large: { c: 65_536 },
  },
  {
    name: "scatterAddRows, matrices",
    inputs: [normal("r", "b", "m"), indices("r", "c"), normal("c", "b", "m")],
    build: scatterAddRows,
  },
  {
    name: "gatherElements, last axis",
    inputs: [normal("n", "d"), indices("d", "n", "k")],
    build: (x, at) => gatherElements(x, at, -1),
  },
  {
    name: "gatherElements, first axis",
    inputs: [normal("r", "m"), indices("r", "c", "m")],
    build: (x, at) => gatherElements(x, at, 0),
  },
];

const q = normal("b", "h", "q", "d");
const k = normal("b", "h", "k", "d");
const attentionLarge = { d: 32 };

const attentions: OpCase[] = [
  { name: "attention", inputs: [q, k, k], build: (a, b, c) => attention(a, b, c), large: attentionLarge },
  {
    name: "attention, scale",
    inputs: [q, k, k],
    build: (a, b, c) => attention(a, b, c, { scale: 0.375 }),
    large: attentionLarge,
  },
  {
    name: "attention, position",
    inputs: [q, k, k, normal(1, "h", "q", "k")],
    build: (a, b, c, position) => attention(a, b, c, { bias: attentionBias(position, undefined) }),
    large: attentionLarge,
  },
  {
    name: "attention, position shared by the heads",
    inputs: [q, k, k, normal(1, 1, "q", "k")],
    build: (a, b, c, position) => attention(a, b, c, { bias: attentionBias(position, undefined) }),
    large: attentionLarge,
  },
  {
    name: "attention, mask",
    inputs: [q, k, k, mask("b", 1, 1, "k")],
    build: (a, b, c, masks) => attention(a, b, c, { bias: attentionBias(undefined, masks) }),
    large: attentionLarge,
  },
  {
    name: "attention, position and mask",
    inputs: [q, k, k, normal(1, "h", "q", "k"), mask("b", 1, 1, "k")],
    build: (a, b, c, position, masks) => attention(a, b, c, { bias: attentionBias(position, masks) }),
    large: attentionLarge,
  },
  {
    name: "attention, dropout",
    inputs: [q, k, k, dropout("b", "h", "q", "k")],
    build: (a, b, c, kept) => attention(a, b, c, { dropout: kept }),
    large: attentionLarge,
  },
  {
    name: "attention, everything",
    inputs: [q, k, k, normal(1, "h", "q", "k"), mask("b", 1, "q", "k"), dropout("b", "h", 1, "k")],
    build: (a, b, c, position, masks, kept) =>
      attention(a, b, c, { bias: attentionBias(position, masks), scale: 0.5, dropout: kept }),
    large: attentionLarge,
  },
  {
    name: "attention, two layers with one bias",
    inputs: [q, k, k, normal(1, "h", "q", "k"), mask("b", 1, 1, "k")],
    build: (a, b, c, position, masks) => {
      const bias = attentionBias(position, masks);
      return attention(attention(a, b, c, { bias }), b, c, { bias });
    },
    large: attentionLarge,
  },
  { name: "attention, one value for all", inputs: [q], build: (x) => attention(x, x, x), large: { d: 32, q: 128 } },
];

const losses: OpCase[] = [
  {
    name: "linearLogProbability",
    inputs: [normal("n", "d"), normal("r", "d"), indices("r", "n")],
    build: linearLogProbability,
  },
];

/** Every differentiable operation. */
export const opCases: readonly OpCase[] = [
  ...elementwise,
  ...activations,
  ...reductions,
  ...shapes,
  ...products,
  ...normalizations,
  ...gathers,
  ...attentions,
  ...losses,
];

/** Error function by its Taylor series, which is exact to double precision for |x| ≤ 2. */
function erfOf(x: number): number {
  let term = x;
  let sum = x;
  for (let index = 1; index < 60; index++) {
    term *= (-x * x) / index;
    sum += term / (2 * index + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

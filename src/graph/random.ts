import { CadreError } from "../core/errors.js";
import { emitOne, expectDType, expectShape, type Graph, graphOf, type Value } from "./graph.js";
import { add, cast, compare, div, mul } from "./ops/elementwise.js";
import { reshapeNode } from "./ops/primitives.js";
import { fixedElementCount, type Shape } from "./shape.js";

/** The key of a step's random numbers, from `randomKey`. */
export interface RandomKey {
  /** Seed and step mixed, an int64 scalar in [0, 2³²). */
  readonly mixed: Value;
}

/** Odd multipliers of the mixing rounds (32-bit finalizer of MurmurHash3, Appleby 2011). */
const FIRST_MULTIPLIER = 0x85ebca6b;
const SECOND_MULTIPLIER = 0xc2b2ae35;
/** Spreads consecutive keys (2³² divided by the golden ratio). */
const GOLDEN = 0x9e3779b9;
/** Odd, so that all 2³² sites start at different counters. */
const SITE_STRIDE = 0x6c8e9cf5;
const MASK_32 = 0xffffffff;

/**
 * Mixes a seed and a step, int64 scalars at run time: a constant key would let ONNX Runtime fold whole masks into the model.
 * Sites of the graph that draw numbers are told apart by a constant.
 */
export function randomKey(seed: Value, step: Value): RandomKey {
  for (const [what, value] of [
    ["a seed", seed],
    ["a step", step],
  ] as const) {
    expectDType("randomKey", what, value, "int64");
    expectShape("randomKey", what, value, []);
  }
  return { mixed: mix(add(mix(seed), mix(add(step, GOLDEN)))) };
}

/**
 * Random integers in [0, 2³²), int64, that depend on seed, step, site and position alone: a resumed run draws the same ones.
 *
 * Computed in int64 with 32-bit wrap-around, since ONNX Runtime's CPU kernels multiply no uint32.
 */
export function randomBits(key: RandomKey, site: number, shape: Shape): Value {
  if (!Number.isInteger(site) || site < 0 || site > MASK_32) {
    throw new CadreError("invalid-argument", `randomBits: expected a site between 0 and 2³²-1, got ${site}`);
  }
  const { mixed } = key;
  const { graph } = mixed;
  // Sites start far apart in the sequence of counters; the multiplication spreads neighbouring counters.
  const start = add(mixed, Math.imul(site + 1, SITE_STRIDE) >>> 0);
  const counters = range(graph, start, fixedElementCount(shape, "randomBits"));
  return reshapeNode(mix(mul(counters, GOLDEN)), shape);
}

/** Uniform numbers in [0, 1) with 24 bits, what a float32 holds exactly. */
export function randomUniform(key: RandomKey, site: number, shape: Shape): Value {
  return mul(cast(div(randomBits(key, site, shape), 256), "float32"), 2 ** -24);
}

/** `1 / keep` where a uniform number lies below `keep`, else 0. `keep` in (0, 1]. */
export function dropoutMask(key: RandomKey, site: number, shape: Shape, rate: number): Value {
  if (!(rate >= 0 && rate < 1)) {
    throw new CadreError("invalid-argument", `dropoutMask: expected a rate in [0, 1), got ${rate}`);
  }
  const keep = 1 - rate;
  const kept = compare("Less", randomBits(key, site, shape), Math.round(keep * 2 ** 32));
  return mul(cast(kept, "float32"), 1 / keep);
}

/** `start, start + 1, …`: the counter starts at a run-time key, so it is not folded into the model. */
function range(graph: Graph, start: Value, count: number): Value {
  const inputs = [start, add(start, count), graph.scalar("int64", 1)];
  return emitOne(graph, { opType: "Range", inputs }, "int64", [count]);
}

function mix(input: Value): Value {
  const first = wrap(mul(xorShift(wrap(input), 16), FIRST_MULTIPLIER));
  const second = wrap(mul(xorShift(first, 13), SECOND_MULTIPLIER));
  return xorShift(second, 16);
}

/** The low 32 bits. */
function wrap(input: Value): Value {
  return bitwise("BitwiseAnd", input, input.graph.scalar("int64", MASK_32));
}

/** `x ^ (x >> bits)` for 0 ≤ x < 2³²: a division shifts, as ONNX shifts only unsigned integers. */
function xorShift(input: Value, bits: number): Value {
  return bitwise("BitwiseXor", input, div(input, 2 ** bits));
}

function bitwise(opType: "BitwiseAnd" | "BitwiseXor", left: Value, right: Value): Value {
  const shape = left.shape.length >= right.shape.length ? left.shape : right.shape;
  return emitOne(graphOf(opType, left, right), { opType, inputs: [left, right] }, "int64", shape);
}

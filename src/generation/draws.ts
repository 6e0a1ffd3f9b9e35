import { randomUint32 } from "../core/random.js";

/**
 * The uniform number in [0, 1) that decides a row's token at a step: a pure function of both. It has 23 bits, so that its product with any
 * total in float32 stays below that total.
 */
export function uniformAt(seed: number, step: number): number {
  return (randomUint32(seed, step) >>> 9) * 2 ** -23;
}

/**
 * The seed of one of several samples of a request: sample 0 has the request's own, so that it is what a request for one sample would draw.
 * @param seed integer in [0, 2³²)
 * @param sample from 0
 */
export function sampleSeed(seed: number, sample: number): number {
  // Another number of counters than a step has: unrelated to what is drawn.
  return sample === 0 ? seed : randomUint32(seed, sample, 0, 0);
}

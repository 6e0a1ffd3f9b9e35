import { createRandom } from "../core/random.js";

/** Keys of an expert in RoE. */
export const KEYS_PER_EXPERT = 100;
/** Queries that vote in RoE. */
export const QUERIES_PER_TASK = 32;
/** The seed of ELM's samples. */
export const DEFAULT_SEED = 42;

/** Options of {@link sampleIndices}. */
export interface SampleOptions {
  /** How many there are, 0 or more. */
  readonly available: number;
  /** How many to draw; all where there are fewer. */
  readonly most: number;
  /** Integer in [0, 2^32). */
  readonly seed: number;
}

/** Draws indices below `available` without replacement, in ascending order. */
export function sampleIndices({ available, most, seed }: SampleOptions): number[] {
  const all = Array.from({ length: available }, (_, index) => index);
  return available <= most
    ? all
    : createRandom(seed)
        .shuffle(all)
        .slice(0, most)
        .sort((left, right) => left - right);
}

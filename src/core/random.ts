/**
 * Seeded, counter-based random numbers: Threefry-2x32 with 20 rounds (Salmon et al., "Parallel random numbers: as easy
 * as 1, 2, 3", SC 2011; the generator of JAX). The n-th number of a stream is a pure function of (seed, stream, n), so
 * any position can be restored and streams never overlap. Only 32-bit integer operations are used: every engine
 * gives the same integers and floats. Not for secrets.
 */
import { at } from "./at.js";
import { CadreError } from "./errors.js";
import { threefry } from "./threefry.js";

const TWO_POW_32 = 2 ** 32;
const TWO_POW_53 = 2 ** 53;

/** A restorable stream of random numbers; see {@link createRandom}. */
export interface Random {
  /** The next integer in [0, 2^32). */
  nextUint32(): number;
  /** The next float in [0, 1), with 53 random bits. */
  nextFloat(): number;
  /**
   * The next number from the standard normal distribution (Box-Muller, two floats each). Uses `Math.log` and `Math.cos`,
   * so the last bit may differ between JavaScript engines, never between runs of one.
   */
  nextNormal(): number;
  /** The next integer in [0, limit), without bias. `limit` is an integer from 1 to 2^32. */
  nextInteger(limit: number): number;
  /** Shuffles the array in place (Fisher-Yates) and returns it. */
  shuffle<T>(array: T[]): T[];
  /** The position as plain numbers that survive JSON. */
  state(): number[];
  /** Goes to a position taken by `state()`, also of another generator. */
  restore(state: readonly number[]): void;
}

/**
 * One random integer in [0, 2^32), a pure function of the seed and the counters: `randomUint32(seed, step, row)`.
 * `(1)` and `(1, 0)` are unrelated.
 * @throws CadreError `invalid-argument` when the seed or a counter is not an integer in [0, 2^32).
 */
export function randomUint32(seed: number, ...counters: number[]): number {
  const block = { first: checkUint32(seed, "seed"), second: counters.length };
  threefry(block, 0, 0);
  for (let index = 0; index < counters.length; index += 2) {
    const low = checkUint32(at(counters, index), "counter");
    const high = index + 1 < counters.length ? checkUint32(at(counters, index + 1), "counter") : 0;
    threefry(block, low, high);
  }
  return block.first;
}

/**
 * A stream of random numbers.
 * @param seed integer in [0, 2^32); hash texts with {@link hashText}
 * @param stream integer in [0, 2^32), default 0; streams of one seed are independent
 * @throws CadreError `invalid-argument` for a seed or stream outside its range.
 */
export function createRandom(seed: number, stream = 0): Random {
  let keyFirst = checkUint32(seed, "seed");
  let keySecond = checkUint32(stream, "stream");
  let position = 0; // numbers drawn so far; a block of the generator holds two
  const block = { first: 0, second: 0 };
  let blockIndex = -1; // which block lies in `block`, -1 for none

  function nextUint32(): number {
    const wanted = Math.floor(position / 2);
    if (wanted !== blockIndex) {
      block.first = keyFirst;
      block.second = keySecond;
      threefry(block, wanted >>> 0, Math.floor(wanted / TWO_POW_32));
      blockIndex = wanted;
    }
    const word = position % 2 === 0 ? block.first : block.second;
    position += 1;
    return word;
  }

  function nextFloat(): number {
    const high = nextUint32() >>> 5; // 27 bits
    const low = nextUint32() >>> 6; // 26 bits
    return (high * 2 ** 26 + low) / TWO_POW_53;
  }

  function nextInteger(limit: number): number {
    if (!Number.isInteger(limit) || limit < 1 || limit > TWO_POW_32) {
      throw new CadreError("invalid-argument", `random: expected a limit from 1 to 2^32, found ${limit}`);
    }
    const fair = TWO_POW_32 - (TWO_POW_32 % limit); // values from here on would favour small results
    let value = nextUint32();
    while (value >= fair) value = nextUint32();
    return value % limit;
  }

  return {
    nextUint32,
    nextFloat,
    nextInteger,
    nextNormal() {
      const radius = Math.sqrt(-2 * Math.log(1 - nextFloat())); // 1 - [0, 1) is never 0
      return radius * Math.cos(2 * Math.PI * nextFloat());
    },
    shuffle(array) {
      for (let last = array.length - 1; last > 0; last -= 1) {
        const chosen = nextInteger(last + 1);
        const held = at(array, last);
        array[last] = at(array, chosen);
        array[chosen] = held;
      }
      return array;
    },
    state: () => [keyFirst, keySecond, position],
    restore(state) {
      const [first, second, drawn] = state;
      if (state.length !== 3 || first === undefined || second === undefined || !Number.isSafeInteger(drawn)) {
        throw new CadreError("invalid-argument", "random: expected a state of three integers", { details: { state } });
      }
      const nextPosition = Number(drawn);
      if (nextPosition < 0) throw new CadreError("invalid-argument", "random: expected a position of 0 or more");
      const nextFirst = checkUint32(first, "seed");
      const nextSecond = checkUint32(second, "stream");
      keyFirst = nextFirst;
      keySecond = nextSecond;
      position = nextPosition;
      blockIndex = -1;
    },
  };
}

/** A seed in [0, 2^32) from a text: FNV-1a over its UTF-8 bytes, then the finalizer of MurmurHash3. Not for secrets. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function checkUint32(value: number, what: string): number {
  if (value >>> 0 !== value) {
    throw new CadreError(
      "invalid-argument",
      `random: expected a ${what} that is an integer in [0, 2^32), found ${value}`,
    );
  }
  return value;
}

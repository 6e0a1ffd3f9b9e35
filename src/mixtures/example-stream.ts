import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import { createRandom } from "../core/random.js";
import type { EncodedExample } from "./encoded-example.js";

/** A place in a stream, as JSON. */
export type StreamPosition = number | string | readonly StreamPosition[] | { readonly [key: string]: StreamPosition };

/** An endless stream of examples that can be left and entered again at any position. */
export interface ExampleStream {
  next(): EncodedExample;
  /** Where the next example lies. */
  position(): StreamPosition;
  /** Goes to a position of an equal stream. */
  seek(position: StreamPosition): void;
}

/**
 * Repeats a list for ever, each time in another order that depends on the seed and the repetition alone.
 * @throws CadreError `invalid-argument` for an empty list.
 */
export function shuffledStream(examples: readonly EncodedExample[], seed: number): ExampleStream {
  if (examples.length === 0) {
    throw new CadreError("invalid-argument", "shuffledStream: expected at least one example, got none");
  }
  let index = 0;
  let shuffled = { epoch: -1, order: [] as number[] };
  return {
    next() {
      const epoch = Math.floor(index / examples.length);
      if (epoch !== shuffled.epoch) {
        shuffled = { epoch, order: createRandom(seed, epoch).shuffle(examples.map((_, position) => position)) };
      }
      const example = at(examples, at(shuffled.order, index % examples.length));
      index++;
      return example;
    },
    position: () => index,
    seek(position) {
      index = indexOf(position);
    },
  };
}

/** Examples computed from their number: generated data without end. */
export function generatedStream(generate: (index: number) => EncodedExample): ExampleStream {
  let index = 0;
  return {
    next: () => generate(index++),
    position: () => index,
    seek(position) {
      index = indexOf(position);
    },
  };
}

function indexOf(position: StreamPosition): number {
  if (typeof position !== "number" || !Number.isSafeInteger(position) || position < 0) {
    throw new CadreError("mismatch", `seek: expected a whole number of 0 or more, got ${JSON.stringify(position)}`);
  }
  return position;
}

import fc from "fast-check";
import { createRandom } from "../core/random.js";
import type { EncodedExample } from "./encoded-example.js";

/** Id that ends a sequence. */
export const END = 1;

/** An example of these lengths with random tokens that end with `END`. */
export function exampleOf(
  seed: number,
  lengths: { readonly input: number; readonly targets: readonly number[] },
): EncodedExample {
  const random = createRandom(seed);
  const draw = (length: number): Int32Array =>
    Int32Array.from({ length }, (_, index) => (index === length - 1 ? END : 2 + random.nextInteger(1000)));
  const { input, targets } = lengths;
  return { input: draw(input), targets: targets.map(draw), correct: random.nextInteger(targets.length) };
}

/** Examples with one target or up to five choices. */
export function arbitraryExample(longest: {
  readonly input: number;
  readonly target: number;
}): fc.Arbitrary<EncodedExample> {
  const lengths = fc.record({
    input: fc.integer({ min: 1, max: longest.input }),
    targets: fc.array(fc.integer({ min: 1, max: longest.target }), { minLength: 1, maxLength: 5 }),
  });
  return fc.tuple(fc.nat(), lengths).map(([seed, chosen]) => exampleOf(seed, chosen));
}

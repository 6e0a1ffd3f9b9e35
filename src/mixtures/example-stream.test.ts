import fc from "fast-check";
import { expect, test } from "vitest";
import { type ExampleStream, generatedStream, shuffledStream } from "./example-stream.js";
import { exampleOf } from "./examples.test.helpers.js";

const examples = Array.from({ length: 7 }, (_, index) => exampleOf(index, { input: 3 + index, targets: [2] }));

function take(stream: ExampleStream, count: number) {
  return Array.from({ length: count }, () => stream.next());
}

test("every repetition holds each example once, in another order", () => {
  const stream = shuffledStream(examples, 5);
  const repetitions = Array.from({ length: 4 }, () => take(stream, examples.length));
  for (const repetition of repetitions) {
    expect(new Set(repetition)).toEqual(new Set(examples));
  }
  expect(new Set(repetitions.map((repetition) => repetition.map((one) => examples.indexOf(one)).join())).size).toBe(4);
});

test("the seed decides the order", () => {
  expect(take(shuffledStream(examples, 5), 20)).toEqual(take(shuffledStream(examples, 5), 20));
  expect(take(shuffledStream(examples, 6), 20)).not.toEqual(take(shuffledStream(examples, 5), 20));
});

test("a stream goes on from any position, also backwards", () => {
  const streams = [
    () => shuffledStream(examples, 8),
    () => generatedStream((index) => exampleOf(index, { input: 1 + (index % 9), targets: [3] })),
  ];
  fc.assert(
    fc.property(fc.constantFrom(...streams), fc.nat(30), fc.nat(30), (create, before, after) => {
      const stream = create();
      take(stream, before);
      // Positions are kept as JSON.
      const position = JSON.parse(JSON.stringify(stream.position()));
      const expected = take(stream, 12);
      take(stream, after);
      stream.seek(position);
      expect(take(stream, 12)).toEqual(expected);
      const other = create();
      take(other, after);
      other.seek(position);
      expect(take(other, 12)).toEqual(expected);
    }),
  );
});

test("no examples are refused at once", () => {
  expect(() => shuffledStream([], 1)).toThrow("shuffledStream: expected at least one example, got none");
});

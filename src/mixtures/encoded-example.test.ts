import fc from "fast-check";
import { expect, test } from "vitest";
import { truncateExample } from "./encoded-example.js";
import { arbitraryExample, END, exampleOf } from "./examples.test.helpers.js";

const limits = fc.record({
  inputLength: fc.integer({ min: 1, max: 30 }),
  targetLength: fc.integer({ min: 5, max: 40 }),
});

test("a truncated example fits, keeps its end tokens and beginnings, and counts what it lost", () => {
  fc.assert(
    fc.property(arbitraryExample({ input: 40, target: 20 }), limits, (example, { inputLength, targetLength }) => {
      const { example: cut, inputTokensCut, targetTokensCut } = truncateExample(example, { inputLength, targetLength });
      const total = (targets: readonly Int32Array[]): number => targets.reduce((sum, { length }) => sum + length, 0);
      expect(cut.input.length).toBeLessThanOrEqual(inputLength);
      expect(total(cut.targets)).toBeLessThanOrEqual(targetLength);
      expect(cut.correct).toBe(example.correct);
      expect(inputTokensCut).toBe(example.input.length - cut.input.length);
      expect(targetTokensCut).toBe(total(example.targets) - total(cut.targets));
      const pairs = [
        [example.input, cut.input] as const,
        ...example.targets.map((target, index) => [target, cut.targets[index]] as const),
      ];
      for (const [before, after] of pairs) {
        expect(after?.at(-1)).toBe(END);
        expect(after?.slice(0, -1)).toEqual(before.slice(0, (after?.length ?? 0) - 1));
      }
    }),
  );
});

test("nothing is cut in vain", () => {
  fc.assert(
    fc.property(arbitraryExample({ input: 40, target: 20 }), limits, (example, { inputLength, targetLength }) => {
      const { example: cut } = truncateExample(example, { inputLength, targetLength });
      expect(cut.input.length).toBe(Math.min(example.input.length, inputLength));
      const total = cut.targets.reduce((sum, { length }) => sum + length, 0);
      const longest = Math.max(...cut.targets.map(({ length }) => length));
      const shortened = example.targets.filter((target, index) => target.length > (cut.targets[index]?.length ?? 0));
      // All that were shortened have the common length, which could not be one longer.
      expect(
        cut.targets
          .filter((target, index) => target.length < (example.targets[index]?.length ?? 0))
          .every(({ length }) => length === longest),
      ).toBe(true);
      expect(shortened.length === 0 || total + shortened.length > targetLength).toBe(true);
    }),
  );
});

test("an example within its limits is left alone", () => {
  const example = exampleOf(1, { input: 7, targets: [3, 2] });
  expect(truncateExample(example, { inputLength: 7, targetLength: 5 })).toEqual({
    example,
    inputTokensCut: 0,
    targetTokensCut: 0,
  });
});

test("choices that are too long together are shortened to one length, shorter ones stay whole", () => {
  const example = exampleOf(1, { input: 3, targets: [2, 9, 6, 1] });
  const { example: cut, targetTokensCut } = truncateExample(example, { inputLength: 3, targetLength: 12 });
  expect(cut.targets.map(({ length }) => length)).toEqual([2, 4, 4, 1]);
  expect(targetTokensCut).toBe(7);
});

test.each([
  {
    what: "an empty input",
    example: { input: new Int32Array(0), targets: [Int32Array.of(1)], correct: 0 },
    message: /at least one token each/,
  },
  {
    what: "no target",
    example: { input: Int32Array.of(1), targets: [], correct: 0 },
    message: /at least one token each/,
  },
  {
    what: "an empty choice",
    example: { input: Int32Array.of(1), targets: [Int32Array.of(1), new Int32Array(0)], correct: 0 },
    message: /at least one token each/,
  },
  {
    what: "a correct choice that is not there",
    example: { input: Int32Array.of(1), targets: [Int32Array.of(1)], correct: 1 },
    message: /one of 1, got number 1/,
  },
  {
    what: "more choices than tokens",
    example: exampleOf(1, { input: 1, targets: [1, 1, 1, 1, 1] }),
    message: /at most 4 choices \(one token each\), got 5; raise the target length/,
  },
])("$what is refused", ({ example, message }) => {
  const call = () => truncateExample(example, { inputLength: 4, targetLength: 4 });
  expect(call).toThrow(message);
  expect(call).toThrow(expect.objectContaining({ code: "invalid-argument" }));
});

test("negative ids are refused, except ignored targets", () => {
  const limits = { inputLength: 4, targetLength: 4 };
  const ids = (...numbers: number[]) => Int32Array.of(...numbers);
  expect(() => truncateExample({ input: ids(-1, 1), targets: [ids(1)], correct: 0 }, limits)).toThrow("got -1");
  expect(() => truncateExample({ input: ids(1), targets: [ids(-7, 1)], correct: 0 }, limits)).toThrow("got -7");
  expect(() => truncateExample({ input: ids(1), targets: [ids(-100, 1)], correct: 0 }, limits)).not.toThrow();
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { at } from "../core/at.js";
import type { EncodedExample } from "../mixtures/encoded-example.js";
import { distinctChoices, sumChoiceCounts } from "./choice-set.js";

/** A tokenizer that does not see case, and takes white space for nothing. */
function tokens(text: string): Int32Array {
  return Int32Array.from([...text.trim().toLowerCase()].map((character) => character.codePointAt(0) ?? 0).concat(1));
}

function exampleOf(choices: readonly string[], correct = 0): EncodedExample {
  return { input: Int32Array.of(5, 1), targets: choices.map(tokens), correct };
}

test("different choices stay as they are", () => {
  const choices = ["yes", "no", "maybe"];
  const example = exampleOf(choices, 2);
  expect(distinctChoices(example, choices)).toEqual({
    example,
    texts: choices,
    positions: [0, 1, 2],
    counts: { identical: 0, indistinguishable: 0, empty: 0 },
  });
});

test("equal texts are one choice, and the right one is that which stands for it", () => {
  const choices = ["a", "b", "a", "c", "b"];
  const { example, texts, positions, counts } = distinctChoices(exampleOf(choices, 4), choices);
  expect(texts).toEqual(["a", "b", "c"]);
  expect(example).toEqual(exampleOf(["a", "b", "c"], 1));
  expect(positions).toEqual([0, 1, 0, 2, 1]);
  expect(counts).toEqual({ identical: 2, indistinguishable: 0, empty: 0 });
});

test("texts of equal tokens are one answer, counted apart from equal texts", () => {
  const choices = ["Yes", "yes", "no", "yes", "Yes"];
  const { texts, example, positions, counts } = distinctChoices(exampleOf(choices, 3), choices);
  expect(texts).toEqual(["Yes", "no"]);
  expect(example.correct).toBe(0);
  expect(positions).toEqual([0, 0, 1, 0, 0]);
  expect(counts).toEqual({ identical: 2, indistinguishable: 1, empty: 0 });
});

test("an empty choice stays and is counted once", () => {
  const choices = ["", "no", "  ", ""];
  const { texts, positions, counts } = distinctChoices(exampleOf(choices), choices);
  expect(texts).toEqual(["", "no"]);
  expect(positions).toEqual([0, 1, 0, 0]);
  expect(counts).toEqual({ identical: 1, indistinguishable: 1, empty: 1 });
});

test("what is kept has different tokens, and every choice has what stands for it", () => {
  const choices = fc.array(fc.constantFrom("a", "A", "b", " b", "ab", "", "aB"), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(choices, fc.nat(), (given, seed) => {
      const correct = seed % given.length;
      const { example, texts, positions, counts } = distinctChoices(exampleOf(given, correct), given);
      expect(new Set(example.targets.map(String)).size).toBe(example.targets.length);
      expect(texts.length + counts.identical + counts.indistinguishable).toBe(given.length);
      given.forEach((text, choice) => {
        expect(tokens(at(texts, at(positions, choice)))).toEqual(tokens(text));
      });
      expect(example.correct).toBe(positions[correct]);
    }),
  );
});

test("counts add up, and texts that are missing are an error", () => {
  const counts = { identical: 1, indistinguishable: 2, empty: 3 };
  expect(sumChoiceCounts([counts, counts])).toEqual({ identical: 2, indistinguishable: 4, empty: 6 });
  expect(sumChoiceCounts([])).toEqual({ identical: 0, indistinguishable: 0, empty: 0 });
  expect(() => distinctChoices(exampleOf(["a", "b"]), ["a"])).toThrow(
    "distinctChoices: expected the text of each of 2 choices, got 1",
  );
});

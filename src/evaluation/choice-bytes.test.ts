import { expect, test } from "vitest";
import { scoresPerByte } from "./choice-bytes.js";
import { bestChoice } from "./rank-classification.js";

test("sums are divided by the bytes of the text, not by its characters", () => {
  expect([...scoresPerByte([-6, -6, -6, -8], ["ab", "ä", "é!", "😀"])]).toEqual([-3, -3, -2, -2]);
});

test("it can turn a decision that length alone had made", () => {
  const sums = Float64Array.of(-2, -4);
  expect(bestChoice(sums)).toBe(0);
  expect(bestChoice(scoresPerByte(sums, ["no", "entailment"]))).toBe(1);
});

test("an empty choice has no bytes to divide by", () => {
  expect(() => scoresPerByte([-1, -2], ["a", ""])).toThrow(
    "scoresPerByte: expected choices of at least one byte, got an empty choice 1",
  );
  expect(() => scoresPerByte([-1], [])).toThrow("expected the text of each of 1 choices, got 0");
});

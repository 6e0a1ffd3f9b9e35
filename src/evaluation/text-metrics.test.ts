import { readFile } from "node:fs/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import * as z from "zod";
import { readJson } from "../core/node/json.js";
import { porterStem } from "./porter-stem.js";
import { exactMatch, rougeL, tokenF1 } from "./text-metrics.js";

/** What Python's `rouge-score`, SQuAD's rules and NLTK say; tools/parity/generate_text_metrics.py makes it. */
const FIXTURES = "test/fixtures/text-metrics";
const cases = z
  .array(
    z.object({
      answer: z.string(),
      references: z.array(z.string()).min(1),
      exactMatch: z.number(),
      tokenF1: z.number(),
      rougeL: z.number(),
      rougeLStemmed: z.number(),
    }),
  )
  .min(80)
  .parse(await readJson(`${FIXTURES}/cases.json`));

/** Whether SQuAD's rules leave nothing of a text. */
function isWordless(text: string): boolean {
  return (
    text
      .replace(/[^\p{L}\p{N}\s]/gu, "")
      .replace(/\b(a|an|the)\b/gi, "")
      .trim() === ""
  );
}

test("exact match and F1 are SQuAD's where references hold words, ROUGE-L is rouge-score's, with and without stems", () => {
  for (const { answer, references, ...expected } of cases) {
    const what = JSON.stringify([answer, references]);
    if (!references.some(isWordless)) {
      expect(exactMatch(answer, references), what).toBe(expected.exactMatch);
      expect(tokenF1(answer, references), what).toBeCloseTo(expected.tokenF1, 12);
    }
    expect(rougeL(answer, references), what).toBeCloseTo(expected.rougeL, 12);
    expect(rougeL(answer, references, { stem: true }), what).toBeCloseTo(expected.rougeLStemmed, 12);
  }
  expect(cases.filter(({ references }) => !references.some(isWordless)).length).toBeGreaterThan(70);
  // The cases tell the metrics apart.
  expect(cases.some((one) => one.rougeL !== one.rougeLStemmed)).toBe(true);
  expect(cases.some((one) => one.rougeL !== one.tokenF1)).toBe(true);
});

test("stems are NLTK's", async () => {
  const lines = (await readFile(`${FIXTURES}/stems.txt`, "utf8")).trim().split("\n");
  expect(lines.length).toBeGreaterThan(2000);
  const wrong = lines.filter((line) => {
    const [word = "", stem] = line.split(" ");
    return porterStem(word) !== stem;
  });
  expect(wrong).toEqual([]);
});

const word = fc.constantFrom("red", "green", "blue", "the", "Blue!", "running", "runs", "é", "7");
const text = fc.array(word, { maxLength: 12 }).map((words) => words.join(" "));
const metrics = { exactMatch, tokenF1, rougeL };

test.each(Object.entries(metrics))(
  "%s lies between 0 and 1, does not care which text is the answer, and takes the best",
  (_, metric) => {
    fc.assert(
      fc.property(text, text, text, (answer, first, second) => {
        const score = metric(answer, [first]);
        expect(score).toBeGreaterThanOrEqual(0);
        expect(score).toBeLessThanOrEqual(1);
        expect(metric(first, [answer])).toBeCloseTo(score, 12);
        expect(metric(answer, [first, second])).toBe(Math.max(score, metric(answer, [second])));
      }),
    );
  },
);

test("an answer that is its reference scores 1 where the metric sees a word", () => {
  fc.assert(
    fc.property(text, (answer) => {
      expect(exactMatch(answer, [answer])).toBe(1);
      expect(tokenF1(answer, [answer])).toBe(1);
      expect(rougeL(answer, [answer])).toBe(/[a-z0-9]/i.test(answer) ? 1 : 0);
    }),
  );
});

test("ROUGE-L is no more than what the words in any order give", () => {
  const common = (left: string[], right: string[]): number => {
    const rest = [...right];
    return left.filter((one) => {
      const found = rest.indexOf(one);
      return found >= 0 && rest.splice(found, 1).length === 1;
    }).length;
  };
  const words = fc.array(fc.constantFrom("red", "green", "blue", "black"), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(words, words, (left, right) => {
      const bag = (2 * common(left, right)) / (left.length + right.length);
      expect(rougeL(left.join(" "), [right.join(" ")])).toBeLessThanOrEqual(bag + 1e-12);
    }),
  );
});

test.each(Object.entries(metrics))("%s without references is refused", (name, metric) => {
  expect(() => metric("x", [])).toThrow(`${name}: expected at least one reference, got none`);
});

test.each<[string, string[], number]>([
  ["", ["!!!"], 0],
  ["the", ["A"], 0],
  ["!!!", ["", "x"], 0],
  ["A", ["A"], 1],
  [" a\n", ["B", "A "], 1],
  ["...", ["..."], 1],
  ["", [" "], 1],
  ["cat", ["the"], 0],
  ["the cat", ["Cat!"], 1],
])("%j against %j, of which SQuAD's rules leave nothing, is %d", (answer, references, expected) => {
  expect(exactMatch(answer, references)).toBe(expected);
  expect(tokenF1(answer, references)).toBe(expected);
});

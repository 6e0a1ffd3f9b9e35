import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { expect, test } from "vitest";
import { z } from "zod";
import { readJson } from "../core/node/json.js";
import { createBm25 } from "./bm25.js";
import { wordsOf } from "./words.js";

const caseSchema = z.object({
  documents: z.array(z.string()),
  queries: z.array(z.object({ query: z.string(), scores: z.array(z.number()) })),
});

test("words are lower-cased runs of letters and digits of any script", () => {
  expect(wordsOf("Don't  PAY_12€ für Straße, 東京!")).toEqual(["don", "t", "pay", "12", "für", "straße", "東京"]);
  expect(wordsOf(" -–_ ")).toEqual([]);
});

test("scores are those of rank_bm25", async () => {
  const file = new URL("../../test/fixtures/bm25/case.json", import.meta.url);
  const { documents, queries } = caseSchema.parse(await readJson(fileURLToPath(file)));
  const index = createBm25(documents);
  expect(queries.length).toBeGreaterThan(0);
  for (const { query, scores } of queries) {
    const found = index.scores(query);
    expect(found.length).toBe(scores.length);
    scores.forEach((score, document) => {
      expect(found[document], `${query}, document ${document}`).toBeCloseTo(score, 12);
    });
  }
});

test("the best document, and the first of equal ones", () => {
  const index = createBm25(["apples and pears", "nuts", "red apples", "nuts", "bread"]);
  const { index: best, score } = index.best("red");
  expect(best).toBe(2);
  expect(score).toBe(index.scores("red")[2]);
  expect(index.best("NUTS!").index).toBe(1);
  expect(index.best("nothing known")).toEqual({ index: 0, score: 0 });
});

test("a document with rare words of its own is found by them", () => {
  const vocabulary = Array.from({ length: 40 }, (_, word) => `word${word}`);
  const documentOf = fc.array(fc.constantFrom(...vocabulary), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(fc.array(documentOf, { minLength: 3, maxLength: 12 }), fc.nat(), (documents, pick) => {
      const chosen = pick % documents.length;
      const texts = documents.map((words, document) => [...words, `own${document}`].join(" "));
      expect(createBm25(texts).best(`own${chosen}`).index).toBe(chosen);
    }),
  );
});

test("documents without words are refused", () => {
  expect(() => createBm25([])).toThrow(/expected documents with words, got none/);
  expect(() => createBm25(["", "?!"])).toThrow(/got 2 without any/);
});

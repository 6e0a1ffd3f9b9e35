import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createByteTokenizer } from "../tokenizers/byte-tokenizer.js";
import { parseTokenizer } from "../tokenizers/parse-tokenizer.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { createSampleText } from "./sample-text.js";

const fixture = async (folder: string): Promise<Tokenizer> => {
  const file = fileURLToPath(new URL(`../../test/fixtures/tokenizer/${folder}/tokenizer.json`, import.meta.url));
  return await parseTokenizer(JSON.parse(await readFile(file, "utf8")), { where: folder });
};
const tokenizers = {
  bytes: await createByteTokenizer(),
  "byte-level": await fixture("byte-level"),
  unigram: await fixture("unigram"),
};

/** The part of a run of steps whose tokens all have these others listed beside them. */
function partOf(ids: readonly number[], others: readonly number[]) {
  return {
    ids: Int32Array.from(ids),
    logProbabilities: new Float32Array(ids.length).fill(-1),
    top: ids.map(() => ({ ids: Int32Array.from(others), logProbabilities: new Float32Array(others.length).fill(-2) })),
  };
}

const text = fc.oneof(
  fc.lorem({ maxCount: 12, mode: "sentences" }),
  fc.string({ unit: fc.constantFrom("a", "b", " ", "é", "e\u0301", "👩‍🚀", "🇩🇪", "\n", "字", "."), maxLength: 120 }),
);

test.each(Object.entries(tokenizers))("%s: a listed token is what it adds to all tokens before it", (_, tokenizer) => {
  fc.assert(
    fc.property(text, fc.integer({ min: 1, max: 9 }), (written, portion) => {
      const ids = [...tokenizer.encodeWithoutEnd(written)];
      const others = [...tokenizer.encodeWithoutEnd("a é")].slice(0, 3);
      const sample = createSampleText({ stop: [], logProbabilities: others.length }, tokenizer);
      for (let first = 0; first < ids.length; first += portion) {
        sample.push(partOf(ids.slice(first, first + portion), others));
      }
      const expected = ids.map((id, index) => {
        const before = ids.slice(0, index);
        const start = tokenizer.decode(before);
        const textOf = (one: number): string => {
          const whole = tokenizer.decode([...before, one]);
          return whole.startsWith(start) ? whole.slice(start.length) : tokenizer.decode([one]);
        };
        const top = others.map((other) => ({ text: textOf(other), logProbability: -2 }));
        return { text: textOf(id), logProbability: -1, top };
      });
      expect(sample.result().tokens).toEqual(expected);
    }),
    { numRuns: 20 },
  );
});

test("what a listed token costs does not grow with the answer", () => {
  const { bytes } = tokenizers;
  let decoded = 0;
  const counting = {
    decode: (ids: ArrayLike<number>) => {
      decoded += ids.length;
      return bytes.decode(ids);
    },
  };
  const sample = createSampleText({ stop: [], logProbabilities: 20 }, counting);
  const others = [...bytes.encodeWithoutEnd("abcdefghijklmnopqrst")];
  const part = partOf([...bytes.encodeWithoutEnd("01234567")], others);
  const costs = Array.from({ length: 64 }, () => {
    decoded = 0;
    sample.push(part);
    return decoded;
  });
  expect(sample.result().tokens).toHaveLength(512);
  // Eight tokens: the listed ones with 16 before them each, and the assembler's window.
  expect(Math.max(...costs)).toBeLessThan(8 * (22 * 17 + 2 * 64));
  const later = costs.slice(32).reduce((sum, cost) => sum + cost, 0);
  const earlier = costs.slice(0, 32).reduce((sum, cost) => sum + cost, 0);
  expect(later).toBeLessThan(1.1 * earlier);
});

test("without listed tokens nothing but the text is decoded, and tokens are counted all the same", () => {
  const { bytes } = tokenizers;
  const sample = createSampleText({ stop: ["c"], logProbabilities: undefined }, bytes);
  const part = sample.push(partOf([...bytes.encodeWithoutEnd("abcd")], []));
  expect(part).toEqual({ text: "ab", tokenCount: 3, finish: "stop" });
  expect(sample.result()).toEqual({ text: "ab", finish: "stop", tokenCount: 3, logProbability: -3 });
});

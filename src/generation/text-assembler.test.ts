import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createByteTokenizer } from "../tokenizers/byte-tokenizer.js";
import { parseTokenizer } from "../tokenizers/parse-tokenizer.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { createTextAssembler } from "./text-assembler.js";

const fixture = async (folder: string): Promise<Tokenizer> => {
  const file = fileURLToPath(new URL(`../../test/fixtures/tokenizer/${folder}/tokenizer.json`, import.meta.url));
  return await parseTokenizer(JSON.parse(await readFile(file, "utf8")), { where: folder });
};
const bytes = await createByteTokenizer();
const tokenizers = { bytes, "byte-level": await fixture("byte-level"), unigram: await fixture("unigram") };
const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

interface Assembled {
  readonly pieces: readonly string[];
  readonly text: string;
  readonly taken: number;
  readonly stopped: boolean;
}

/** Pushes ids in portions of these lengths, the last one over and over. */
function assemble(
  tokenizer: Tokenizer,
  ids: readonly number[],
  { stop = [], portions }: { readonly stop?: readonly string[]; readonly portions: readonly number[] },
): Assembled {
  const assembler = createTextAssembler({ decode: (some) => tokenizer.decode(some), stop });
  const pieces: string[] = [];
  let taken = 0;
  let stopped = false;
  for (let portion = 0; taken < ids.length && !stopped; portion++) {
    const part = assembler.push(ids.slice(taken, taken + (portions[portion] ?? portions.at(-1) ?? 1)));
    pieces.push(part.text);
    taken += part.taken;
    stopped = part.stopped;
  }
  pieces.push(assembler.finish());
  return { pieces, text: pieces.join(""), taken, stopped };
}

/** What a stop does to a whole text: it ends before the stop that is complete first. */
function stoppedText(text: string, stop: readonly string[]): string {
  for (let end = 0; end <= text.length; end++) {
    const starts = stop.filter((one) => text.slice(0, end).endsWith(one)).map((one) => end - one.length);
    if (starts.length > 0) {
      return text.slice(0, Math.min(...starts));
    }
  }
  return text;
}

const portions = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 });
const text = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 60 }),
  fc.string({ unit: fc.constantFrom("a", "b", " ", "é", "e\u0301", "👩‍🚀", "🇩🇪", "\n", "字", "."), maxLength: 120 }),
);

test.each(Object.entries(tokenizers))("%s: pieces make up the text, and none splits a character", (_, tokenizer) => {
  fc.assert(
    fc.property(text, portions, (written, sizes) => {
      const ids = [...tokenizer.encodeWithoutEnd(written)];
      const { pieces, text: found, taken, stopped } = assemble(tokenizer, ids, { portions: sizes });
      expect(found).toBe(tokenizer.decode(ids));
      expect([taken, stopped]).toEqual([ids.length, false]);
      const boundaries = new Set([...graphemes.segment(found)].map(({ index }) => index).concat(found.length));
      let length = 0;
      for (const piece of pieces) {
        length += piece.length;
        expect(boundaries.has(length), JSON.stringify(pieces)).toBe(true);
      }
    }),
    { numRuns: 200 },
  );
});

test.each(Object.entries(tokenizers))("%s: any ids in any portions give the text of all", (_, tokenizer) => {
  fc.assert(
    fc.property(fc.array(fc.nat(tokenizer.vocabularySize - 1), { maxLength: 200 }), portions, (drawn, sizes) => {
      const ids = drawn.filter((id) => {
        try {
          tokenizer.decode([id]);
          return true;
        } catch {
          return false;
        }
      });
      expect(assemble(tokenizer, ids, { portions: sizes }).text).toBe(tokenizer.decode(ids));
    }),
    { numRuns: 200 },
  );
});

test("a stop text ends the text before it, at the same token however tokens come, and its beginning is never sent", () => {
  const letters = fc.string({ unit: fc.constantFrom("a", "b", "c", "é"), maxLength: 40 });
  const stops = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "c", "é"), minLength: 1, maxLength: 5 }), {
    minLength: 1,
    maxLength: 4,
  });
  let hits = 0;
  fc.assert(
    fc.property(letters, stops, portions, (written, stop, sizes) => {
      const ids = [...bytes.encodeWithoutEnd(written)];
      const expected = stoppedText(written, stop);
      const found = assemble(bytes, ids, { stop, portions: sizes });
      expect(found.text).toBe(expected);
      expect(found.stopped).toBe(stop.some((one) => written.includes(one)));
      hits += found.stopped ? 1 : 0;
      const single = assemble(bytes, ids, { stop, portions: [1] });
      expect([found.taken, found.text]).toEqual([single.taken, single.text]);
      // What was sent before the end is never taken back: it is followed by no stop text that begins in it.
      let sent = "";
      for (const piece of single.pieces.slice(0, -1)) {
        sent += piece;
        expect(expected.startsWith(sent)).toBe(true);
      }
    }),
    { numRuns: 500, seed: 4 },
  );
  expect(hits).toBeGreaterThan(100);
});

test("text comes as soon as it is certain", () => {
  const assembler = createTextAssembler({ decode: (ids) => bytes.decode(ids), stop: ["\n\n", "END"] });
  const push = (some: string) => assembler.push(bytes.encodeWithoutEnd(some));
  expect(push("one ")).toEqual({ text: "one", taken: 4, stopped: false });
  expect(push("two E")).toEqual({ text: " two ", taken: 5, stopped: false });
  expect(push("N")).toEqual({ text: "", taken: 1, stopped: false });
  expect(push("E\n")).toEqual({ text: "ENE", taken: 2, stopped: false });
  expect(push("\nmore")).toEqual({ text: "", taken: 1, stopped: true });
  expect(push("more")).toEqual({ text: "", taken: 0, stopped: true });
  expect(assembler.finish()).toBe("");
});

test("what never becomes a character comes out in the end, the end token not at all", () => {
  const assembler = createTextAssembler({ decode: (ids) => bytes.decode(ids) });
  const [first = 0] = bytes.encodeWithoutEnd("é");
  expect(assembler.push([first]).text).toBe("");
  expect(assembler.push([bytes.endId]).text).toBe("");
  expect(assembler.finish()).toBe("\uFFFD");
});

test("a decoder whose text changes with the next token is followed", () => {
  // As byte fallback in Python: a run of bytes is a text, or one U+FFFD a byte.
  const decode = (ids: readonly number[]): string => {
    const whole = new TextDecoder().decode(Uint8Array.from(ids));
    return whole.includes("\uFFFD") ? "\uFFFD".repeat(ids.length) : whole;
  };
  const assembler = createTextAssembler({ decode });
  const pieces = [...new TextEncoder().encode("aé👍b")].map((byte) => assembler.push([byte]).text);
  expect([...pieces, assembler.finish()].join("")).toBe("aé👍b");
});

test("bad stop texts are refused", () => {
  const refused = (stop: readonly string[]) => expect(() => createTextAssembler({ decode: () => "", stop }));
  refused([""]).toThrow(/stop: expected texts of one character or more/);
  refused(Array.from({ length: 17 }, (_, one) => `${one}`)).toThrow(/stop: expected at most 16 texts, got 17/);
  for (const stop of ["x", [1], { 0: "x" }, null]) {
    const make = (): unknown => Reflect.apply(createTextAssembler, undefined, [{ decode: () => "", stop }]);
    expect(make).toThrow(/stop: expected a list of texts, got ("x"|1 in place 1|an object|null)$/);
  }
});

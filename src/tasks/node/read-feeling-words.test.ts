import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readFeelingWords } from "./read-feeling-words.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-feeling-words-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function read(text: string) {
  const path = join(folder, "words.tsv");
  await writeFile(path, text);
  return readFeelingWords(path);
}

test("words and their numbers are read, whatever ends a line", async () => {
  const words = [...(await read("awful\t-2.0\r\ngood\t1.9\n"))];
  expect(words).toEqual([
    ["awful", -2],
    ["good", 1.9],
  ]);
});

test.each([
  ["awful -2\n", /words\.tsv:1: expected a word of small letters, a tab and a number from -4 to 4, got "awful -2"/],
  ["good\t1.9\nfine\t4.5\n", /words\.tsv:2: expected .* got "fine\t4.5"/],
  ["good\t1\ngood\t2\n", /words\.tsv:2: expected every word once, got "good" again/],
  ["", /words\.tsv:1: expected a word/],
])("%j is refused", async (text, message) => {
  await expect(read(text)).rejects.toMatchObject({ code: "invalid-file", message: expect.stringMatching(message) });
});

test("a file that is not there is named", async () => {
  await expect(readFeelingWords(join(folder, "none.tsv"))).rejects.toMatchObject({ code: "not-found" });
});

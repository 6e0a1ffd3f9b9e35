import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ALLOWED_LICENCES, checkSources, parseHeldout, parseSources } from "../../src/mixtures/sources.js";

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../bases/cadre-mini/${name}`, import.meta.url), "utf8"));

const sources = parseSources(read("sources.json"), "sources.json");
const heldout = parseHeldout(read("heldout.json"), "heldout.json");

test("every source has an allowed licence and none is held out", () => {
  expect(sources.files.length).toBeGreaterThan(0);
  checkSources(sources, heldout);
});

test("a licence outside the list, a held-out file and a test file would be caught here", () => {
  const [file] = sources.files;
  const [held] = heldout.files;
  if (file === undefined || held === undefined) throw new Error("expected files in both lists");
  const withFile = (change: object) => ({
    ...sources,
    files: [...sources.files, { ...file, path: "new.txt", ...change }],
  });
  checkSources(withFile({}), heldout);
  expect(() => checkSources(withFile({ licence: "unknown" }), heldout)).toThrow("new.txt: licence unknown");
  expect(() => checkSources(withFile({ path: held.path }), heldout)).toThrow(`${held.path}: held out`);
  expect(() => checkSources(withFile({ path: "new/test.txt" }), heldout)).toThrow("never trained on");
});

test("word lists are here as they are listed, with the text of their licence", () => {
  expect(sources.wordLists.map(({ path }) => path)).toEqual(["feeling-words.tsv"]);
  for (const { path, sha256, bytes, licence } of sources.wordLists) {
    const content = readFileSync(new URL(`../../bases/cadre-mini/${path}`, import.meta.url));
    expect([content.length, createHash("sha256").update(content).digest("hex")]).toEqual([bytes, sha256]);
    expect(ALLOWED_LICENCES.has(licence)).toBe(true);
  }
  const listed = { ...sources, wordLists: sources.wordLists.map((list) => ({ ...list, licence: "unknown" })) };
  expect(() => checkSources(listed, heldout)).toThrow("feeling-words.tsv: licence unknown");
});

test("every licence has a place that states it", () => {
  const place = /https?:\/\/|README\.md of the data bundle|field "Instance License" of natural-instructions\//;
  expect(sources.files.filter(({ licenceEvidence }) => !place.test(licenceEvidence))).toEqual([]);
});

test("a source data set has one licence", () => {
  const licences = new Map<string, string>();
  for (const { sourceDataset, licence } of sources.files) {
    expect(licences.get(sourceDataset) ?? licence, sourceDataset).toBe(licence);
    licences.set(sourceDataset, licence);
  }
  expect([...licences.values()].every((licence) => ALLOWED_LICENCES.has(licence))).toBe(true);
});

test("both lists are sorted and without repeats", () => {
  for (const { files } of [sources, heldout]) {
    const paths = files.map(({ path }) => path);
    expect(paths).toEqual([...new Set(paths)].sort());
  }
});

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseSources } from "../../mixtures/sources.js";
import { parsePretrainingRecipe } from "../pretraining-recipe.js";
import { sourceEntry, tinyRecipe } from "./pretraining.test.helpers.js";
import { readWordsOfRecipe } from "./pretraining-words.js";

const CONTENT = "good\t1.9\n";
let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-words-"));
  await writeFile(join(folder, "words.tsv"), CONTENT);
});
afterAll(() => rm(folder, { recursive: true }));

function read(wordLists: readonly unknown[] | undefined, changes: object = { feelingWords: "words.tsv" }) {
  const recipe = parsePretrainingRecipe(tinyRecipe({ sources: "sources.json", ...changes }), "recipe");
  const list = { format: "cadre-sources", formatVersion: 1, root: "data", files: [], wordLists };
  const sources = wordLists === undefined ? undefined : parseSources(list, "sources.json");
  return readWordsOfRecipe(recipe, { recipeFolder: folder, sources });
}

test("words come from a file that the list of sources names, with its hash, or from any where there is no list", async () => {
  const words = new Map([["good", 1.9]]);
  expect(await read([sourceEntry("words.tsv", CONTENT)])).toEqual(words);
  expect(await read(undefined)).toEqual(words);
  expect(await read([], {})).toEqual(new Map());
  await expect(read([])).rejects.toThrow(/words\.tsv: expected a word list of sources\.json/);
  await expect(read([sourceEntry("words.tsv", "good\t2\n")])).rejects.toThrow(
    /words\.tsv: expected the content that the list of sources names/,
  );
});

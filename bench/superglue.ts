import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { hashText } from "../src/core/random.js";
import type { EncodedExample } from "../src/mixtures/encoded-example.js";

/** Real rows beside the checkout, where npm scripts start; see shared/data/README.md. */
export const superglueFolder = resolve("../shared/data/superglue-cls");

/** Ids below are padding and the end token. */
const FIRST_WORD_ID = 2;
const END_ID = 1;

/** Rows of all training files, words and punctuation hashed to ids: ragged lengths without a tokenizer. */
export function superglueExamples(vocabularySize: number): EncodedExample[] {
  const encode = (text: string): Int32Array => {
    const words = text.match(/\w+|[^\w\s]/g) ?? [];
    return Int32Array.from([
      ...words.map((word) => FIRST_WORD_ID + (hashText(word.toLowerCase()) % (vocabularySize - FIRST_WORD_ID))),
      END_ID,
    ]);
  };
  return readdirSync(superglueFolder)
    .filter((name) => existsSync(join(superglueFolder, name, "train.json")))
    .flatMap((name) => {
      const { Definition, Instances } = JSON.parse(readFileSync(join(superglueFolder, name, "train.json"), "utf8"));
      return Instances.map((instance: { input: string; output: string | string[] }) => ({
        input: encode(`${Definition[0] ?? ""} ${instance.input}`),
        targets: [encode(String(Array.isArray(instance.output) ? instance.output[0] : instance.output))],
        correct: 0,
      }));
    });
}

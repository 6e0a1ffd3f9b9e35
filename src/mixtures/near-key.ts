import { at } from "../core/at.js";
import { WordReader } from "./overlap-words.js";

/**
 * A function that gives texts with the same words the same key, see {@link WordReader} for what words are; undefined for a text without words. Long keys
 * are kept as hashes of 64 bits and the number of words.
 */
export function createNearKey(): (text: string) => string | undefined {
  const reader = new WordReader();
  return (text) => {
    reader.read(text);
    if (reader.count === 0) return undefined;
    let first = reader.count;
    let second = 0;
    for (let index = 0; index < reader.count; index++) {
      first = Math.imul(first ^ at(reader.firstHashes, index), 0x01000193);
      second = Math.imul(second ^ at(reader.secondHashes, index), 0x5bd1e995) ^ (second >>> 15);
    }
    return `${reader.count}:${first >>> 0}:${second >>> 0}`;
  };
}

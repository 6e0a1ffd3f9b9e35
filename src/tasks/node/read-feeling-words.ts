import { readFile } from "node:fs/promises";
import { CadreError } from "../../core/errors.js";
import { wrapSystemError } from "../../core/node/system-error.js";
import type { FeelingWords } from "../derived/feeling.js";

const LINE = /^(?<word>[a-z]+)\t(?<valence>-?[0-4](\.[0-9]+)?)$/u;

/**
 * Reads words and how good they sound: in each line a word of small letters, a tab and a number from -4 to 4.
 * @throws CadreError `not-found`; `io`; `invalid-file` for another line, a word that comes twice, or no word at all.
 */
export async function readFeelingWords(path: string): Promise<FeelingWords> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw wrapSystemError(error, `cannot read ${path}`);
  });
  const words = new Map<string, number>();
  for (const [index, line] of text
    .replace(/\r?\n$/, "")
    .split(/\r?\n/)
    .entries()) {
    const { word = "", valence = "" } = LINE.exec(line)?.groups ?? {};
    if (word === "" || Math.abs(Number(valence)) > 4) {
      throw new CadreError(
        "invalid-file",
        `${path}:${index + 1}: expected a word of small letters, a tab and a number from -4 to 4, got "${line.slice(0, 60)}"`,
      );
    }
    if (words.has(word)) {
      throw new CadreError("invalid-file", `${path}:${index + 1}: expected every word once, got "${word}" again`);
    }
    words.set(word, Number(valence));
  }
  return words;
}

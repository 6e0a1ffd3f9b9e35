// Writes bases/cadre-mini/sources.json: every file that pre-training may use, with hash, licence and where it is stated.
// Usage: node tools/bases/write-sources.mjs [DATA_ROOT]   (default ../shared/data, relative to the repository root)
//
// The licences come from tools/bases/licences.json, which was written by hand. Files of bases/cadre-mini/heldout.json
// are left out. A pattern that matches no file is an error: it would be a misspelt one.

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { listFiles } from "./list-files.mjs";

const repository = fileURLToPath(new URL("../..", import.meta.url));
const root = resolve(process.argv[2] ?? join(repository, "../shared/data"));
const readJson = (path) => JSON.parse(readFileSync(join(repository, path), "utf8"));

/** A path pattern in which "*" stands for any characters but "/" and "?" for one of them. */
function compilePattern(pattern) {
  const source = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${source.replaceAll("*", "[^/]*").replaceAll("?", "[^/]")}$`);
}

function withHash(folder, { path, ...dataSet }) {
  const bytes = readFileSync(join(folder, path));
  return { path, sha256: createHash("sha256").update(bytes).digest("hex"), bytes: bytes.length, ...dataSet };
}

const { dataSets, wordLists } = readJson("tools/bases/licences.json");
const heldout = new Set(readJson("bases/cadre-mini/heldout.json").files.map(({ path }) => path));
const available = listFiles(root).filter((path) => !heldout.has(path));

const files = new Map();
for (const { files: patterns, ...dataSet } of dataSets) {
  for (const pattern of patterns) {
    const matcher = compilePattern(pattern);
    const matching = available.filter((path) => matcher.test(path));
    if (matching.length === 0) {
      throw new Error(`licences.json: "${pattern}" matches no file of ${root} that is not held out`);
    }
    for (const path of matching) {
      if (files.has(path)) {
        throw new Error(`licences.json: ${path} belongs to two data sets`);
      }
      files.set(path, withHash(root, { path, ...dataSet }));
    }
  }
}

const document = {
  format: "cadre-sources",
  formatVersion: 1,
  description:
    "Every file that pre-training may use, with the licence of its source data set and where that is stated. " +
    "Written by tools/bases/write-sources.mjs.",
  root: "../shared/data",
  files: [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1)),
  wordLists: wordLists.map((list) => withHash(join(repository, "bases/cadre-mini"), list)),
};
writeFileSync(join(repository, "bases/cadre-mini/sources.json"), `${JSON.stringify(document, null, 2)}\n`);
const total = document.files.reduce((sum, { bytes }) => sum + bytes, 0);
console.log(`${document.files.length} files, ${(total / 1e6).toFixed(1)} MB`);

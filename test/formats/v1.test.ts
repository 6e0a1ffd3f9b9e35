import { createHash } from "node:crypto";
import { cp, readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { checkStoredExpert } from "../../src/experts/stored-delta.js";
import { hashBase } from "../../src/library/base-hash.js";
import { readExpertFolder } from "../../src/library/node/expert-folder.js";
import { openLibrary } from "../../src/library/node/library.js";
import { verifyLibrary } from "../../src/library/node/verify.js";
import { openModelFolder } from "../../src/models/node/model-folder.js";
import { temporaryFolder } from "../library/temporary-folder.js";
import { FIXTURES } from "../parity/fixture.js";
import { frozenBase, frozenExperts, frozenFolder } from "./content-v1.js";

const V1 = fileURLToPath(new URL("./v1", import.meta.url));
const folder = temporaryFolder();

test("the frozen files are those that were frozen", async () => {
  const hash = createHash("sha256");
  const paths = (await readdir(V1, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => relative(V1, join(entry.parentPath, entry.name)))
    .sort();
  for (const path of paths) hash.update(`${path}\n`).update(await readFile(join(V1, path)));
  expect(paths).toHaveLength(14);
  expect(hash.digest("hex")).toBe("05c1899067a0613770a6fb481b7a8249b2f7f0a6c71802e37f0bd675d8c90dc9");
});

test("the hash of a base is what it was", async () => {
  await using base = await openModelFolder(join(FIXTURES, "v1_1"));
  expect(await hashBase(base)).toBe(frozenBase.hash);
});

test("a library of version 1 opens and holds what was put in", async () => {
  await using base = await openModelFolder(join(FIXTURES, "v1_1"));
  const library = await openLibrary(join(V1, "library"), { base: frozenBase });
  const entries = await library.list();
  expect(entries.map(({ id }) => id)).toEqual(["all-tasks-c8b7f517", "grosse-tickets-b8461ec5", "vectors-29a6a5e3"]);
  for (const [name, { manifest, tensors, adapterConfig, keys }] of Object.entries(frozenExperts)) {
    const read = await library.read(name);
    expect(read.manifest).toMatchObject({ role: "expert", metrics: {}, base: frozenBase, ...manifest });
    expect(read.tensors).toEqual(tensors);
    expect(read.adapterConfig).toEqual(adapterConfig);
    expect(read.keys).toEqual(keys);
    expect(checkStoredExpert(read, { where: name, model: base.model })?.kind ?? "full").toBe(manifest.delta.kind);
  }
  expect(await verifyLibrary(join(V1, "library"))).toEqual({ experts: 3, problems: [], leftovers: [] });
});

test("a library of version 1 takes new experts, among them a folder of version 1", async () => {
  await cp(join(V1, "library"), folder.path("library"), { recursive: true });
  const expert = await readExpertFolder(join(V1, "folder"));
  expect(expert.tensors).toEqual(frozenFolder.tensors);
  const library = await openLibrary(folder.path("library"));
  await library.add(expert);
  expect((await library.read("bottleneck")).manifest).toMatchObject(frozenFolder.manifest);
  expect(await verifyLibrary(folder.path("library"))).toEqual({ experts: 4, problems: [], leftovers: [] });
});

import { cp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { CadreError } from "../../src/core/errors.js";
import { createRandom } from "../../src/core/random.js";
import { checkStoredExpert } from "../../src/experts/stored-delta.js";
import { expertId } from "../../src/library/expert-name.js";
import { openLibrary } from "../../src/library/node/library.js";
import { verifyLibrary } from "../../src/library/node/verify.js";
import { mutateJson } from "../fuzz/mutate-json.js";
import { sampleExpert } from "./sample-experts.js";
import { temporaryFolder } from "./temporary-folder.js";

const V1 = fileURLToPath(new URL("../formats/v1/library", import.meta.url));
const folder = temporaryFolder();
const id = "grosse-tickets-b8461ec5";

test("whatever a library's JSON files say, it opens or is refused in words", async () => {
  await cp(V1, folder.path("library"), { recursive: true });
  const random = createRandom(5);
  const outcomes = new Map<string, number>();
  for (const name of ["library.json", `experts/${id}/expert.json`, `experts/${id}/keys.json`]) {
    const path = folder.path("library", name);
    const text = await readFile(path, "utf8");
    const document: unknown = JSON.parse(text.replace(/"sha256": "[0-9a-f]{64}"\s*\}\s*$/, '"sha256": "none"}'));
    for (let run = 0; run < 40; run += 1) {
      await writeFile(path, mutateJson(document, random));
      const outcome = await readAll(folder.path("library"));
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    await writeFile(path, text);
  }
  expect(
    [...outcomes.keys()].filter((code) => !["read", "invalid-file", "mismatch", "not-found"].includes(code)),
  ).toEqual([]);
  expect(outcomes.get("read")).toBeGreaterThan(5);
  expect(outcomes.get("invalid-file")).toBeGreaterThan(30);
  expect(await readAll(folder.path("library"))).toBe("read");
}, 300_000);

/** `read`, or the code of the refusal; anything but a CadreError fails the test. */
async function readAll(path: string): Promise<string> {
  try {
    const library = await openLibrary(path);
    const { experts } = await library.scan();
    for (const entry of experts) checkStoredExpert(await library.read(entry.id), { where: entry.id });
    return experts.length === 3 ? "read" : "invalid-file";
  } catch (error) {
    if (!CadreError.isInstance(error)) throw error;
    return error.code;
  }
}

test("a manifest cannot make Cadre read, write or remove outside its folder", async () => {
  await cp(V1, folder.path("library"), { recursive: true });
  await writeFile(folder.path("secret.safetensors"), "secret");
  const manifest = folder.path("library", "experts", id, "expert.json");
  const document: { files: Record<string, unknown>; sha256: string } = JSON.parse(await readFile(manifest, "utf8"));
  for (const name of ["../../../secret.safetensors", folder.path("secret.safetensors"), "..", "", "a\u0000b"]) {
    const { "adapter_model.safetensors": tensors, ...files } = document.files;
    await writeFile(manifest, JSON.stringify({ ...document, sha256: "none", files: { ...files, [name]: tensors } }));
    const library = await openLibrary(folder.path("library"));
    await expect(library.read(id)).rejects.toMatchObject({ code: "invalid-file" });
  }
  const library = await openLibrary(folder.path("library"));
  await expect(library.remove("../../secret.safetensors")).rejects.toMatchObject({ code: "not-found" });
  await library.remove(id);
  expect(await readFile(folder.path("secret.safetensors"), "utf8")).toBe("secret");
});

test("removing a linked expert removes the link, not what it leads to", async () => {
  await cp(V1, folder.path("library"), { recursive: true });
  const linked = await expertId("linked");
  const target = folder.path("library", "experts", id);
  await symlink(target, folder.path("library", "experts", linked));
  const library = await openLibrary(folder.path("library"));
  await expect(library.read(linked)).rejects.toThrow("expected a folder of its own, found a symbolic link");
  await library.remove(linked);
  expect(await readdir(target)).toHaveLength(5);
  expect((await verifyLibrary(folder.path("library"))).problems).toEqual([]);
});

test("a library whose folder of experts is gone is empty and takes new ones", async () => {
  await cp(V1, folder.path("library"), { recursive: true });
  await rm(folder.path("library", "experts"), { recursive: true });
  const library = await openLibrary(folder.path("library"));
  expect(await library.list()).toEqual([]);
  await library.add(sampleExpert("new"));
  expect(await library.list()).toHaveLength(1);
});

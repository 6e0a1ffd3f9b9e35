import fc from "fast-check";
import { expect, test } from "vitest";
import { CadreError } from "../core/errors.js";
import { parseLibraryFile, serializeLibraryFile } from "./library-file.js";
import { type ExpertManifest, manifestSchema, parseManifest, serializeManifest } from "./manifest.js";

const hash = "0123456789abcdef".repeat(4);

const valid = {
  format: "cadre-expert",
  formatVersion: 1,
  name: "billing 🧾",
  role: "expert",
  delta: { kind: "lora", config: { rank: 4 }, future: [1] },
  task: "tickets",
  choices: ["yes", "no"],
  origin: { kind: "trained", recipe: { steps: 3 } },
  metrics: { accuracy: 0.75 },
  created: "2026-01-02T03:04:05Z",
  base: { id: "cadre-mini", hash },
  files: { "delta.safetensors": { bytes: 10, sha256: hash } },
  note: { from: "a later Cadre" },
  sha256: "none",
};

function parse(content: unknown): Promise<ExpertManifest> {
  return parseManifest(new TextEncoder().encode(JSON.stringify(content)), { where: "expert.json" });
}

test("a manifest comes back as it was written, unknown fields too", async () => {
  const manifest = await parse(valid);
  expect(manifest).toEqual(valid);
  const text = await serializeManifest(manifest);
  const again = await parseManifest(new TextEncoder().encode(text), { where: "again" });
  expect(again).toEqual({ ...valid, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
  expect(Object.keys(JSON.parse(text)).slice(0, 2)).toEqual(["format", "formatVersion"]);
});

test("any fields survive being written and read", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })),
      fc.string({ unit: "grapheme", minLength: 1 }),
      async (recipe, task) => {
        fc.pre(!JSON.stringify(recipe).includes("__proto__"));
        const content = JSON.parse(JSON.stringify({ ...valid, task, origin: { kind: "merged", recipe } }));
        const text = await serializeManifest(await parse(content));
        const again = await parseManifest(new TextEncoder().encode(text), { where: "again" });
        expect({ ...again, sha256: "none" }).toEqual(content);
      },
    ),
    { numRuns: 100 },
  );
});

test("every single flipped bit of a manifest is noticed", async () => {
  const text = await serializeManifest(manifestSchema.parse(valid));
  const bytes = new TextEncoder().encode(text);
  const noticed: string[] = [];
  for (let bit = 0; bit < 8 * bytes.length; bit += 7) {
    const damaged = bytes.slice();
    damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const error: unknown = await parseManifest(damaged, { where: "expert.json" }).catch((caught: unknown) => caught);
    if (!CadreError.isInstance(error)) {
      throw new Error(
        `bit ${bit} was not noticed: ${new TextDecoder().decode(damaged).slice((bit >> 3) - 20, (bit >> 3) + 20)}`,
      );
    }
    noticed.push(error.code);
  }
  expect(new Set(noticed)).toEqual(new Set(["invalid-file"]));
  expect(noticed.length).toBeGreaterThan(500);
});

test("without its hash a manifest may be changed by hand", async () => {
  const text = await serializeManifest(manifestSchema.parse(valid));
  const changed = text.replace("tickets", "letters");
  await expect(parseManifest(new TextEncoder().encode(changed), { where: "x" })).rejects.toThrow(
    "x: its content does not fit its sha256: it was damaged, or changed by hand (then write",
  );
  const open = changed.replace(/[0-9a-f]{64}(?="\s*\}\s*$)/, "none");
  expect(await parseManifest(new TextEncoder().encode(open), { where: "x" })).toMatchObject({ task: "letters" });
});

const file = { bytes: 1, sha256: hash };

test.each<[string, unknown, string, string]>([
  ["another format", { ...valid, format: "cadre-library" }, "invalid-file", 'expected the format "cadre-expert"'],
  [
    "a newer format",
    { ...valid, formatVersion: 2, name: 7 },
    "mismatch",
    "needs a Cadre that reads cadre-expert version 2; this one reads up to 1",
  ],
  ["no format", [], "invalid-file", "found none"],
  ["version 0", { ...valid, formatVersion: 0 }, "invalid-file", "formatVersion"],
  ["a path", { ...valid, files: { "../delta.safetensors": file } }, "invalid-file", "plain file name"],
  ["a folder", { ...valid, files: { "a/delta.safetensors": file } }, "invalid-file", "plain file name"],
  ["a drive", { ...valid, files: { "c:delta.safetensors": file } }, "invalid-file", "plain file name"],
  ["a backslash", { ...valid, files: { "..\\delta.safetensors": file } }, "invalid-file", "plain file name"],
  ["dots", { ...valid, files: { "..": file } }, "invalid-file", "plain file name"],
  ["itself", { ...valid, files: { "delta.safetensors": file, "Expert.json": file } }, "invalid-file", "other names"],
  ["no tensors", { ...valid, files: {} }, "invalid-file", "exactly one of"],
  [
    "two tensor files",
    { ...valid, files: { "delta.safetensors": file, "model.safetensors": file } },
    "invalid-file",
    "exactly one of",
  ],
  ["half of PEFT", { ...valid, files: { "adapter_model.safetensors": file } }, "invalid-file", "adapter_config.json"],
  [
    "keys without a file",
    { ...valid, keys: { encoder: { id: "e", width: 2 }, count: 1, text: "none" } },
    "invalid-file",
    "keys.safetensors",
  ],
  [
    "many files",
    { ...valid, files: Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`f${index}`, file])) },
    "invalid-file",
    "at most 100",
  ],
  ["a short hash", { ...valid, base: { id: "x", hash: "ab" } }, "invalid-file", "64 lower-case"],
  ["an unknown kind", { ...valid, delta: { kind: "magic", config: {} } }, "invalid-file", "delta"],
  ["an unknown role", { ...valid, role: "router" }, "invalid-file", "role"],
  ["a decomposed name", { ...valid, name: "e\u0301" }, "invalid-file", "normalised"],
  ["no date", { ...valid, created: "yesterday" }, "invalid-file", "created"],
])("%s is refused", async (_, content, code, message) => {
  await expect(parse(content)).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
});

test("a key that occurs twice is refused: readers would disagree on which counts", async () => {
  const text = JSON.stringify(valid).replace('"task":"tickets"', '"task":"tickets","task":"letters"');
  await expect(parseManifest(new TextEncoder().encode(text), { where: "x" })).rejects.toThrow("occurs twice");
});

test("library.json keeps unknown fields and refuses a newer format", () => {
  const content = {
    format: "cadre-library",
    formatVersion: 1,
    base: { id: "cadre-mini", hash, revision: "main" },
    keyEncoder: { id: "minilm", width: 384, hash, pooling: "mean" },
    created: "2026-01-02T03:04:05.000Z",
    owner: "me",
  };
  const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
  const file = parseLibraryFile(bytes(content), { where: "library.json" });
  expect(parseLibraryFile(new TextEncoder().encode(serializeLibraryFile(file)), { where: "again" })).toEqual(content);
  expect(() => parseLibraryFile(bytes({ ...content, formatVersion: 9 }), { where: "library.json" })).toThrow(
    "library.json: it needs a Cadre that reads cadre-library version 9",
  );
});

import { mkdir, readdir, readFile, rename, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { CadreError } from "../../src/core/errors.js";
import { expertId } from "../../src/library/expert-name.js";
import { createLibrary, openLibrary, openOrCreateLibrary } from "../../src/library/node/library.js";
import { verifyLibrary } from "../../src/library/node/verify.js";
import { tensor } from "../../src/tensors/tensor.js";
import { sampleBase, sampleEncoder, sampleExpert, sampleExpertWithKeys } from "./sample-experts.js";
import { temporaryFolder } from "./temporary-folder.js";

const folder = temporaryFolder();

function newLibrary() {
  return createLibrary(folder.path("library"), { base: sampleBase });
}

test("an expert comes back as it was added, from a folder whose path says nothing of its name", async () => {
  const library = await newLibrary();
  const name = "Größe 🧾 ../x";
  const added = await library.add({
    ...sampleExpertWithKeys(name, ["a text", "\ufeffnoch einer"]),
    manifest: sampleExpert(name, {
      role: "multitask",
      template: "{{ text }}\n?",
      choices: ["ja", "nein"],
      metric: "accuracy",
      seed: 7,
      identity: "abc",
      metrics: { accuracy: 0.5 },
    }).manifest,
  });
  expect(added.id).toBe(await expertId(name));
  expect(await readdir(folder.path("library", "experts"))).toEqual([added.id]);
  expect((await readdir(folder.path("library", "experts", added.id))).sort()).toEqual([
    "delta.safetensors",
    "expert.json",
    "keys.json",
    "keys.safetensors",
  ]);
  const opened = await openLibrary(folder.path("library"), { base: sampleBase });
  const read = await opened.read(name);
  const { tensors, keys } = sampleExpertWithKeys(name, ["a text", "\ufeffnoch einer"]);
  expect(read.tensors).toEqual(tensors);
  expect(read.keys).toEqual(keys);
  expect(read.adapterConfig).toBeUndefined();
  expect(read.manifest).toMatchObject({
    name,
    role: "multitask",
    template: "{{ text }}\n?",
    seed: 7,
    base: sampleBase,
  });
  expect(await opened.list()).toMatchObject([{ id: added.id, manifest: { name } }]);
  expect(await opened.readKeys(added.id)).toEqual(keys);
  expect(await opened.keyEncoder()).toEqual(sampleEncoder);
});

test("texts of keys stay out of the files unless they are asked for", async () => {
  const library = await newLibrary();
  const { id, manifest } = await library.add(sampleExpertWithKeys("private"));
  expect(manifest.keys).toEqual({ encoder: sampleEncoder, count: 2, text: "none" });
  expect(await readdir(folder.path("library", "experts", id))).not.toContain("keys.json");
  expect((await library.readKeys(id))?.texts).toBeUndefined();
  const plain = await library.add(sampleExpert("without keys"));
  expect(await library.readKeys(plain.id)).toBeUndefined();
});

test("PEFT's layout has PEFT's names and gives Cadre's back", async () => {
  const library = await newLibrary();
  const { id } = await library.add({ ...sampleExpert("peft"), adapterConfig: { peft_type: "LORA", r: 2 } });
  const path = folder.path("library", "experts", id, "adapter_model.safetensors");
  expect(String(await readFile(path))).toContain('"base_model.model.encoder.adapter.down.weight"');
  const read = await library.read(id);
  expect(read.tensors).toEqual(sampleExpert("peft").tensors);
  expect(read.adapterConfig).toEqual({ peft_type: "LORA", r: 2 });
});

test("adding and removing touch no other expert, and other processes' work is seen at once", async () => {
  const library = await newLibrary();
  const other = await openLibrary(library.path);
  await library.add(sampleExpert("one"));
  const before = await readFile(folder.path("library", "experts", await expertId("one"), "expert.json"));
  await other.add(sampleExpert("two"));
  expect((await library.list()).map(({ manifest }) => manifest.name)).toEqual(["one", "two"]);
  await library.remove("two");
  expect(await other.list()).toHaveLength(1);
  expect(await readFile(folder.path("library", "experts", await expertId("one"), "expert.json"))).toEqual(before);
  await other.add(sampleExpert("two"));
  expect(await library.list()).toHaveLength(2);
});

test("an expert is replaced whole, also a damaged one, and stays where the new one is refused", async () => {
  const library = await newLibrary();
  await library.add(sampleExpert("one"));
  const other = { ...sampleExpert("one", { task: "letters" }), tensors: sampleExpert("two").tensors };
  const { id } = await library.add(other, { replace: true });
  expect((await library.read("one")).tensors).toEqual(other.tensors);
  const bad = tensor("float32", [3], Float32Array.from([0, Number.NaN, 1]));
  const infinite = new Map([...other.tensors, ["encoder.adapter.up.bias", bad]]);
  await expect(library.add({ ...other, tensors: infinite }, { replace: true })).rejects.toMatchObject({
    code: "non-finite",
  });
  expect((await library.read("one")).tensors).toEqual(other.tensors);
  await writeFile(folder.path("library", "experts", id, "expert.json"), "{");
  await library.add(sampleExpert("one"), { replace: true });
  expect((await library.read("one")).tensors).toEqual(sampleExpert("one").tensors);
  await library.add(sampleExpert("new"), { replace: true });
  expect(await verifyLibrary(library.path)).toEqual({ experts: 2, problems: [], leftovers: [] });
});

test("a name is taken once, however it is spelled and whoever comes first", async () => {
  const library = await newLibrary();
  await library.add(sampleExpert("Caf\u00e9"));
  await expect(library.add(sampleExpert("Cafe\u0301"))).rejects.toMatchObject({
    code: "already-exists",
    message: expect.stringContaining('expected no expert "Café", found one (cafe-'),
  });
  const results = await Promise.allSettled(Array.from({ length: 8 }, () => library.add(sampleExpert("race"))));
  expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  for (const result of results) {
    if (result.status === "rejected") expect(result.reason).toMatchObject({ code: "already-exists" });
  }
  expect(await verifyLibrary(library.path)).toEqual({ experts: 2, problems: [], leftovers: [] });
});

test("of two that create a library one is told so", async () => {
  const base = (letter: string) => ({ id: letter, hash: letter.repeat(64) });
  const results = await Promise.allSettled(
    ["a", "b", "c"].map((letter) => createLibrary(folder.path("x", "library"), { base: base(letter) })),
  );
  const made = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  expect(made).toHaveLength(1);
  expect((await openLibrary(folder.path("x", "library"))).base).toEqual(made[0]?.base);
  for (const result of results) {
    if (result.status === "rejected") expect(result.reason).toMatchObject({ code: "already-exists" });
  }
  expect(await readdir(folder.path("x", "library"))).toEqual(["experts", "library.json"]);
});

test("an unknown expert is answered with the near one, in find, read and remove", async () => {
  const library = await newLibrary();
  await expect(library.find("billing")).rejects.toThrow('no expert "billing"; it has none');
  const { id } = await library.add(sampleExpert("billing"));
  for (const ask of [library.find, library.read, library.readKeys, library.remove]) {
    await expect(ask("biling")).rejects.toMatchObject({
      code: "not-found",
      message: expect.stringContaining('no expert "biling"; did you mean "billing"?'),
    });
  }
  await expect(library.find(id.replace(/.$/, "x"))).rejects.toThrow(`did you mean "${id}"?`);
  await expect(library.find("zzz")).rejects.toThrow('it has "billing"');
  await expect(library.remove("../../x")).rejects.toMatchObject({ code: "not-found" });
});

test("another base is refused, opening and adding", async () => {
  const library = await newLibrary();
  const other = { id: "other", hash: "cd".repeat(32) };
  await expect(openLibrary(library.path, { base: other })).rejects.toMatchObject({
    code: "mismatch",
    message: expect.stringContaining('expected the base "tiny" (hash abababababababab…) of the library, found "other"'),
  });
  await expect(library.add({ ...sampleExpert("x"), base: other })).rejects.toMatchObject({ code: "mismatch" });
  expect(await library.list()).toEqual([]);
});

test("keys of another encoder are refused; the first ones decide", async () => {
  const library = await newLibrary();
  await library.add(sampleExpertWithKeys("one"));
  const keys = { encoder: { id: "other", width: 2 }, vectors: tensor("float32", [1, 2], Float32Array.from([1, 2])) };
  await expect(library.add({ ...sampleExpert("two"), keys })).rejects.toMatchObject({
    code: "mismatch",
    message: expect.stringContaining("keys of two encoders cannot be compared"),
  });
  await expect(library.add({ ...sampleExpert("two"), keys: { ...keys, encoder: sampleEncoder } })).rejects.toThrow(
    'expected a shape [keys, 3] as the encoder "base-mean" says, got [1, 2]',
  );
  expect(await readdir(folder.path("library", "experts"))).toHaveLength(1);
});

test.each([
  [
    "a number that is none",
    { ...sampleExpert("x"), tensors: new Map([["a", tensor("float32", [1], Float32Array.of(Number.NaN))]]) },
    "non-finite",
  ],
  ["no tensors", { ...sampleExpert("x"), tensors: new Map() }, "invalid-argument"],
  ["an empty name", sampleExpert(" "), "invalid-argument"],
  ["an empty task", sampleExpert("x", { task: "" }), "invalid-argument"],
  ["a bad date", sampleExpert("x", { created: "today" }), "invalid-argument"],
  [
    "a huge recipe",
    sampleExpert("x", { origin: { kind: "merged", recipe: { text: "x".repeat(5e6) } } }),
    "invalid-argument",
  ],
])("%s is refused, and nothing is left", async (_, expert, code) => {
  const library = await newLibrary();
  await expect(library.add(expert)).rejects.toMatchObject({ code });
  expect(await readdir(folder.path("library", "experts"))).toEqual([]);
});

/** Each damages a library with the expert "one" of keys and texts; what reading it says, and whether its manifest shows it. */
const damages: readonly [string, (path: (...names: string[]) => string) => Promise<unknown>, string][] = [
  ["a flipped bit", (path) => flip(path("delta.safetensors")), "expected sha256"],
  [
    "a truncated file",
    (path) => truncate(path("delta.safetensors"), 100),
    "expected 204 bytes as its manifest says, found 100",
  ],
  ["an absent file", (path) => rename(path("keys.safetensors"), path("x")), "cannot read"],
  ["damaged keys", (path) => flip(path("keys.safetensors")), "expected sha256"],
  ["changed texts", (path) => writeFile(path("keys.json"), "{}"), "keys.json"],
  ["a truncated manifest", (path) => truncate(path("expert.json"), 300), "expert.json: line"],
  [
    "a huge manifest",
    (path) => truncate(path("expert.json"), 2 ** 40),
    "expected at most 4194304 bytes, found 1099511627776",
  ],
  ["an absent manifest", (path) => rename(path("expert.json"), path("x")), "expert.json"],
  [
    "a link to tensors",
    (path) => relink(path("delta.safetensors")),
    "expected a file of its own, found a symbolic link",
  ],
  ["a link to a manifest", (path) => relink(path("expert.json")), "expected a file of its own, found a symbolic link"],
  [
    "a manifest that is a folder",
    async (path) => {
      await rename(path("expert.json"), path("x"));
      await mkdir(path("expert.json"));
    },
    "found a folder",
  ],
  [
    "a newer format",
    (path) => edit(path("expert.json"), '"formatVersion": 1', '"formatVersion": 3'),
    "needs a Cadre that reads cadre-expert version 3",
  ],
  ["another base", (path) => edit(path("expert.json"), "abab", "cdcd"), "does not fit its sha256"],
];

test.each(damages)("%s is refused in words and does not hide the other experts", async (_, damage, message) => {
  const library = await newLibrary();
  const { id } = await library.add(sampleExpertWithKeys("one", ["a", "b"]));
  await library.add(sampleExpertWithKeys("two"));
  await damage((...names) => folder.path("library", "experts", id, ...names));
  const errors = await Promise.all(
    [library.read(id), library.readKeys(id)].map((work) =>
      work.then(
        () => undefined,
        (error: unknown) => error,
      ),
    ),
  );
  const found = errors.filter((error) => error !== undefined);
  expect(found.length).toBeGreaterThan(0);
  for (const error of found) {
    expect(CadreError.isInstance(error)).toBe(true);
    expect(error).toMatchObject({ message: expect.stringContaining(message) });
    expect(error).toMatchObject({ message: expect.stringContaining(id) });
  }
  const verification = await verifyLibrary(library.path);
  expect(verification.problems).toEqual([{ expert: id, message: expect.stringContaining(message) }]);
  expect((await library.scan()).experts.map(({ manifest }) => manifest.name)).toContain("two");
  expect((await library.read("two")).tensors).toEqual(sampleExpert("two").tensors);
  await library.remove(id);
  expect(await verifyLibrary(library.path)).toEqual({ experts: 1, problems: [], leftovers: [] });
});

test("list names a damaged expert and what to do; verify lists every problem", async () => {
  const library = await newLibrary();
  const path = (...names: string[]) => folder.path("library", "experts", ...names);
  const ids = await Promise.all(["a", "b", "c", "d"].map(async (name) => (await library.add(sampleExpert(name))).id));
  const [a = "", b = "", c = "", d = ""] = ids;
  await truncate(path(a, "expert.json"), 10);
  await flip(path(b, "delta.safetensors"));
  await rename(path(c), path("else-12345678"));
  await symlink(path(d), path("link-12345678"));
  await mkdir(path("notes"));
  await expect(library.list()).rejects.toThrow("cadre experts remove takes the id of a damaged expert");
  const { experts, problems } = await verifyLibrary(library.path);
  expect(experts).toBe(5);
  expect(problems.map(({ expert, message }) => [expert, message.split(": ").slice(1).join(": ").slice(0, 40)])).toEqual(
    [
      [a, expect.stringContaining("line")],
      ["else-12345678", expect.stringContaining("expected the folder of")],
      ["link-12345678", expect.stringContaining("expected a folder of its own, found a s")],
      [b, expect.stringContaining("expected sha256")],
      [undefined, expect.stringContaining("expected folders of experts only")],
    ],
  );
});

test("a library that is none, or newer, or has a linked folder is refused", async () => {
  await expect(openLibrary(folder.path("none"))).rejects.toMatchObject({
    code: "not-found",
    message: expect.stringContaining("expected a library with library.json, found none"),
  });
  const library = await newLibrary();
  await edit(folder.path("library", "library.json"), '"formatVersion": 1', '"formatVersion": 2');
  await expect(openLibrary(library.path)).rejects.toMatchObject({
    code: "mismatch",
    message: expect.stringContaining("needs a Cadre that reads cadre-library version 2"),
  });
  await edit(folder.path("library", "library.json"), '"formatVersion": 2', '"formatVersion": 1');
  await library.add(sampleExpert("one"));
  await rename(folder.path("library", "experts"), folder.path("elsewhere"));
  await symlink(folder.path("elsewhere"), folder.path("library", "experts"));
  await expect(library.list()).rejects.toThrow("expected a folder of its own, found a symbolic link");
});

test("recording the key encoder keeps what others wrote into library.json", async () => {
  const library = await newLibrary();
  await edit(folder.path("library", "library.json"), '"base"', '"owner": { "name": "me" },\n  "base"');
  await library.add(sampleExpertWithKeys("one"));
  const content: unknown = JSON.parse(await readFile(folder.path("library", "library.json"), "utf8"));
  expect(content).toMatchObject({ owner: { name: "me" }, keyEncoder: sampleEncoder, base: sampleBase });
});

test("a library says how it routes once that was chosen; what others wrote into library.json stays", async () => {
  const library = await newLibrary();
  expect(await library.routing()).toBeUndefined();
  await library.add(sampleExpertWithKeys("keyed"));
  const path = folder.path("library", "library.json");
  const file: unknown = JSON.parse(await readFile(path, "utf8"));
  await writeFile(path, JSON.stringify({ ...Object(file), routing: { adjustment: "none", note: 1 }, other: 2 }));
  await library.setRouting({ adjustment: "whitened" });
  const opened = await openLibrary(library.path);
  expect(await opened.routing()).toEqual({ adjustment: "whitened", note: 1 });
  expect(await opened.keyEncoder()).toEqual(sampleEncoder);
  expect(JSON.parse(await readFile(path, "utf8"))).toMatchObject({ other: 2 });
  await writeFile(path, JSON.stringify({ ...Object(file), routing: { adjustment: "sideways" } }));
  await expect(openLibrary(library.path)).rejects.toMatchObject({ code: "invalid-file" });
});

test("opening or making: made once, opened then, and only for its own base", async () => {
  const path = folder.path("either");
  const [one, other] = await Promise.all([
    openOrCreateLibrary(path, { base: sampleBase }),
    openOrCreateLibrary(path, { base: sampleBase }),
  ]);
  expect(one.base).toEqual(other.base);
  const foreign = { id: "foreign", hash: "f".repeat(64) };
  await expect(openOrCreateLibrary(path, { base: foreign })).rejects.toMatchObject({ code: "mismatch" });
});

test("what a killed add left is ignored, and removed once nobody can be writing it", async () => {
  const library = await newLibrary();
  const dead = ".tmp-4194305-0123456789abcdef"; // above the largest process id of Linux
  const recent = ".tmp-4194305-fedcba9876543210";
  const alive = `.tmp-${process.ppid}-0123456789abcdef`;
  const experts = (...names: string[]) => folder.path("library", "experts", ...names);
  for (const name of [dead, recent, alive]) {
    await mkdir(experts(name));
    await writeFile(experts(name, "expert.json"), "{");
  }
  const old = new Date(Date.now() - 3_600_000);
  for (const name of [dead, alive]) {
    await utimes(experts(name, "expert.json"), old, old);
    await utimes(experts(name), old, old);
  }
  expect(await library.list()).toEqual([]);
  expect((await verifyLibrary(library.path)).leftovers).toEqual([alive, dead, recent].sort());
  const { id } = await library.add(sampleExpert("one"));
  expect((await readdir(experts())).sort()).toEqual([alive, recent, id].sort());
});

async function flip(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes[bytes.length - 3] = (bytes[bytes.length - 3] ?? 0) ^ 4;
  await writeFile(path, bytes);
}

async function relink(path: string): Promise<void> {
  await rename(path, `${path}.elsewhere`);
  await symlink(`${path}.elsewhere`, path);
}

async function edit(path: string, from: string, to: string): Promise<void> {
  const text = await readFile(path, "utf8");
  expect(text).toContain(from);
  await writeFile(path, text.replace(from, to));
}

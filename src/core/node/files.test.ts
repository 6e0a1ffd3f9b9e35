import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { sha256 } from "../hash.js";
import { removeLeftovers, writeFileAtomic, writeFolderAtomic } from "./atomic-write.js";
import { hashFile } from "./hash-file.js";
import { readJson } from "./json.js";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-core-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("a file is written from text, bytes and pieces, and replaces the old one", async () => {
  const path = join(folder, "a");
  await writeFileAtomic(path, "é");
  expect(await readFile(path, "utf8")).toBe("é");
  await writeFileAtomic(path, new Uint8Array([1, 2]));
  expect([...(await readFile(path))]).toEqual([1, 2]);
  await writeFileAtomic(path, ["a", new Uint8Array([98]), ""]);
  expect(await readFile(path, "utf8")).toBe("ab");
  async function* pieces() {
    yield "c";
    yield "d";
  }
  await writeFileAtomic(path, pieces());
  expect(await readFile(path, "utf8")).toBe("cd");
  await writeFileAtomic(join(folder, "n".repeat(255)), "long names leave room for the temporary one");
  expect(await readdir(folder)).toHaveLength(2);
});

test("a failure while writing keeps the old file and leaves nothing behind", async () => {
  const path = join(folder, "a");
  await writeFileAtomic(path, "old");
  function* failing() {
    yield "new";
    throw new Error("source failed");
  }
  await expect(writeFileAtomic(path, failing())).rejects.toThrow("source failed");
  expect(await readFile(path, "utf8")).toBe("old");
  expect(await readdir(folder)).toEqual(["a"]);
  await expect(writeFileAtomic(join(folder, "no", "a"), "x")).rejects.toMatchObject({ code: "not-found" });
  await mkdir(join(folder, "taken"));
  await expect(writeFileAtomic(join(folder, "taken"), "x")).rejects.toMatchObject({ code: "invalid-argument" });
  expect((await readdir(folder)).sort()).toEqual(["a", "taken"]);
});

test("a folder appears whole or not at all", async () => {
  const path = join(folder, "expert");
  await writeFolderAtomic(path, async (temporary) => {
    await mkdir(join(temporary, "inner"));
    await writeFile(join(temporary, "inner", "b"), "b");
    expect(await readdir(folder)).not.toContain("expert");
  });
  expect(await readFile(join(path, "inner", "b"), "utf8")).toBe("b");
  const untouched = async () => expect.unreachable();
  await expect(writeFolderAtomic(path, untouched)).rejects.toMatchObject({ code: "already-exists" });
  const failing = async (temporary: string) => {
    await writeFile(join(temporary, "a"), "a");
    throw new Error("fill failed");
  };
  await expect(writeFolderAtomic(join(folder, "other"), failing)).rejects.toThrow("fill failed");
  const raced = writeFolderAtomic(join(folder, "late"), () => mkdir(join(folder, "late")));
  await expect(raced).rejects.toMatchObject({ code: "already-exists" });
  expect((await readdir(folder)).sort()).toEqual(["expert", "late"]);
});

test("a folder is replaced once the new one is written, and stays where that fails", async () => {
  const path = join(folder, "expert");
  const fill = (text: string) => async (temporary: string) => {
    await writeFile(join(temporary, text), text);
    if (await readdir(path).then((names) => names.includes(text))) throw new Error("fill failed");
  };
  await mkdir(path);
  await writeFolderAtomic(path, fill("a"), { replace: true });
  expect(await readdir(path)).toEqual(["a"]);
  await expect(writeFolderAtomic(path, fill("a"), { replace: true })).rejects.toThrow("fill failed");
  expect(await readdir(path)).toEqual(["a"]);
  await writeFolderAtomic(path, fill("b"), { replace: true });
  expect(await readdir(path)).toEqual(["b"]);
  expect(await readdir(folder)).toEqual(["expert"]);
});

test("leftovers of dead processes go, everything else stays", async () => {
  const digits = "0123456789abcdef";
  const dead = `.tmp-4194305-${digits}`; // above the largest process id of Linux
  const ownOld = `.tmp-${process.pid}-${digits}`;
  const kept = [
    `.tmp-${process.ppid}-${digits}`,
    `.tmp-${process.pid}-${"0".repeat(16)}`,
    ".tmp-x",
    "a",
    ".tmp-4194305-no",
  ];
  await mkdir(join(folder, dead));
  await writeFile(join(folder, dead, "inner"), "");
  for (const name of [ownOld, ...kept]) await writeFile(join(folder, name), "");
  await utimes(join(folder, ownOld), 1000, 1000);
  expect((await removeLeftovers(folder)).sort()).toEqual([dead, ownOld].map((name) => join(folder, name)).sort());
  expect((await readdir(folder)).sort()).toEqual(kept.sort());
  expect(await removeLeftovers(join(folder, "absent"))).toEqual([]);
});

test("hashes of bytes and files agree with Node's", async () => {
  const bytes = new Uint8Array(3_000_000).map((_, index) => index % 251);
  const expected = createHash("sha256").update(bytes).digest("hex");
  await writeFile(join(folder, "a"), bytes);
  expect(await sha256(bytes)).toBe(expected);
  expect(await hashFile(join(folder, "a"))).toBe(expected);
  await expect(hashFile(join(folder, "b"))).rejects.toMatchObject({ code: "not-found" });
  await expect(hashFile(folder)).rejects.toMatchObject({ code: "invalid-argument" });
  const signal = AbortSignal.abort();
  await expect(hashFile(join(folder, "a"), { signal })).rejects.toMatchObject({ code: "aborted" });
});

test("JSON files give a value or a named error with its place", async () => {
  const path = join(folder, "a.json");
  const write = (data: string | Uint8Array) => writeFile(path, data);
  await write('\uFEFF{"a": [1]}');
  expect(await readJson(path)).toEqual({ a: [1] });
  await write('{"a": 1, "a": 2}');
  expect(await readJson(path)).toEqual({ a: 2 });
  await expect(readJson(path, { uniqueKeys: true })).rejects.toMatchObject({ code: "invalid-file" });
  await write('{\n"a": }');
  const details = { path, line: 2, column: 6 };
  await expect(readJson(path)).rejects.toMatchObject({ code: "invalid-file", details });
  await write(new Uint8Array([0x22, 0xff, 0x22]));
  await expect(readJson(path)).rejects.toThrow("UTF-8");
  await expect(readJson(path, { maxBytes: 2 })).rejects.toThrow("at most 2 bytes");
  await expect(readJson(join(folder, "b"))).rejects.toMatchObject({ code: "not-found" });
});

test("what Python writes for a number that is none is named, with its place and what to do", async () => {
  const path = join(folder, "a.json");
  for (const name of ["NaN", "Infinity", "-Infinity"]) {
    await writeFile(path, `{\n  "loss": [1, ${name}]\n}`);
    await expect(readJson(path)).rejects.toMatchObject({
      code: "invalid-file",
      message: expect.stringMatching(
        new RegExp(`line 2, column 15: .*found ${name}, which Python's json.dump writes.*null`),
      ),
      details: { path, line: 2, column: 15 },
    });
  }
});

test("nesting without end is refused in well-formed JSON too", async () => {
  const path = join(folder, "a.json");
  await writeFile(path, "[".repeat(100_000) + "]".repeat(100_000));
  await expect(readJson(path)).rejects.toThrow("nested deeper");
  await writeFile(path, JSON.stringify("[".repeat(1000)));
  expect(await readJson(path)).toHaveLength(1000);
});

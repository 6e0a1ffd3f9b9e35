import { execFileSync } from "node:child_process";
import { mkdtemp, open, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { serializeSafetensors } from "../safetensors.js";
import { type Tensor, tensor, zeros } from "../tensor.js";
import { openSafetensors, writeSafetensors } from "./safetensors-file.js";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-tensors-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const sample = new Map<string, Tensor>([
  ["mask", tensor("bool", [3], new Uint8Array([1, 0, 1]))],
  ["weight", tensor("float32", [2, 2], new Float32Array([1, 2, 3, 4]))],
  ["none", zeros("int64", [0, 4])],
]);

test("a file is written, its header read alone, and each tensor on demand", async () => {
  const path = join(folder, "a.safetensors");
  await writeSafetensors(path, sample, { format: "pt" });
  expect(new Uint8Array(await readFile(path))).toEqual(serializeSafetensors(sample, { format: "pt" }));
  const file = await openSafetensors(path);
  expect(file.metadata).toEqual(new Map([["format", "pt"]]));
  expect([...file.tensors.keys()]).toEqual(["none", "weight", "mask"]);
  for (const [name, value] of sample) expect(await file.read(name)).toEqual(value);
  const { offset = 0, length = 0 } = file.tensors.get("weight") ?? {};
  const bytes = (await readFile(path)).subarray(offset, offset + length);
  expect(bytes.readFloatLE(12)).toBe(4);
  expect(file.tensors.get("weight")).toMatchObject({ path, dtype: "float32", shape: [2, 2], length: 16 });
  await expect(file.read("other")).rejects.toMatchObject({ code: "not-found" });
  await file.close();
  await file.close();
  await expect(file.read("weight")).rejects.toMatchObject({ code: "closed" });
  await using disposable = await openSafetensors(path);
  expect(disposable.tensors.size).toBe(3);
});

test("a file of many gigabytes opens at once and holds no memory", async () => {
  const path = join(folder, "large.safetensors");
  const length = 2 ** 36;
  const json = `{"a":{"dtype":"U8","shape":[${length}],"data_offsets":[0,${length}]}}`;
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(json.length));
  await writeFile(path, Buffer.concat([prefix, Buffer.from(json)]));
  await truncate(path, 8 + json.length + length); // a sparse file takes no room
  await using file = await openSafetensors(path);
  expect(file.tensors.get("a")?.length).toBe(length);
  await expect(file.read("a")).rejects.toMatchObject({ code: "out-of-memory" });
});

test("broken files are named errors, and nothing stays open or behind", async () => {
  const path = join(folder, "a.safetensors");
  await expect(openSafetensors(path)).rejects.toMatchObject({ code: "not-found" });
  await expect(openSafetensors(folder)).rejects.toMatchObject({ code: "invalid-file" });
  await writeFile(path, "short");
  await expect(openSafetensors(path)).rejects.toMatchObject({ code: "invalid-file" });
  await writeFile(path, Buffer.from([255, 255, 255, 255, 255, 255, 255, 255, 1, 2]));
  await expect(openSafetensors(path)).rejects.toMatchObject({ code: "invalid-file" });
  await writeSafetensors(path, sample);
  await using file = await openSafetensors(path);
  const { offset = 0 } = file.tensors.get("mask") ?? {};
  const handle = await open(path, "r+");
  await handle.write(new Uint8Array([7]), 0, 1, offset);
  await handle.close();
  await expect(file.read("mask")).rejects.toThrow("bools of 0 or 1");
  await truncate(path, offset + 1);
  await expect(file.read("mask")).rejects.toThrow("it has shrunk");
  const twice = [...sample, ...sample];
  await expect(writeSafetensors(path, twice)).rejects.toMatchObject({ code: "invalid-argument" });
  expect(await readdir(folder)).toEqual(["a.safetensors"]);
});

test.skipIf(process.platform === "win32")("a named pipe is refused instead of waited for", async () => {
  const path = join(folder, "pipe");
  execFileSync("mkfifo", [path]);
  await expect(openSafetensors(path)).rejects.toMatchObject({ code: "invalid-file" });
});

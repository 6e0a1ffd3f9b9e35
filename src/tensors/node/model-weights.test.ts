import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Tensor, tensor } from "../tensor.js";
import { openWeights } from "./model-weights.js";
import { writeSafetensors } from "./safetensors-file.js";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-weights-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const ONE = "model-00001-of-00002.safetensors";
const TWO = "model-00002-of-00002.safetensors";

function scalar(value: number): Tensor {
  return tensor("float32", [1], new Float32Array([value]));
}

async function writeShards(): Promise<void> {
  await writeSafetensors(join(folder, ONE), [["a", scalar(1)]], { format: "pt", part: "1" });
  await writeSafetensors(join(folder, TWO), [["b", scalar(2)]], { format: "pt", part: "2" });
}

function writeIndex(index: unknown): Promise<void> {
  const text = typeof index === "string" ? index : JSON.stringify(index);
  return writeFile(join(folder, "model.safetensors.index.json"), text);
}

test("one file is opened as it is, also beside an index", async () => {
  await writeSafetensors(join(folder, "model.safetensors"), [["a", scalar(5)]]);
  await writeIndex("broken");
  await using weights = await openWeights(folder);
  expect(await weights.read("a")).toEqual(scalar(5));
});

test("shards are one source, each tensor with its own file", async () => {
  await writeShards();
  await writeIndex({ metadata: { total_size: 8 }, weight_map: { b: TWO, a: ONE } });
  const weights = await openWeights(folder);
  expect([...weights.tensors].map(([name, { path }]) => [name, path])).toEqual([
    ["a", join(folder, ONE)],
    ["b", join(folder, TWO)],
  ]);
  expect(weights.metadata).toEqual(new Map([["format", "pt"]]));
  expect([await weights.read("a"), await weights.read("b")]).toEqual([scalar(1), scalar(2)]);
  await expect(weights.read("c")).rejects.toMatchObject({ code: "not-found" });
  await weights.close();
  await expect(weights.read("a")).rejects.toMatchObject({ code: "closed" });
});

test("tensors that the index does not list are left out", async () => {
  await writeShards();
  await writeSafetensors(join(folder, TWO), [
    ["b", scalar(2)],
    ["extra", scalar(3)],
  ]);
  await writeIndex({ weight_map: { a: ONE, b: TWO } });
  await using weights = await openWeights(folder);
  expect([...weights.tensors.keys()]).toEqual(["a", "b"]);
});

test("an index that lies is refused", async () => {
  await writeShards();
  await mkdir(join(folder, "inner.safetensors"));
  const refuse = async (index: unknown, message: string | RegExp) => {
    await writeIndex(index);
    await expect(openWeights(folder)).rejects.toMatchObject({
      code: "invalid-file",
      message: expect.stringMatching(message),
    });
  };
  const outside = ["../x.safetensors", "/x.safetensors", "C:x.safetensors", "..\\x.safetensors", "a/b.safetensors"];
  for (const name of [...outside, "..", "", "x.bin", ".safetensors", "a\0.safetensors", 5, null]) {
    await refuse({ weight_map: { a: name } }, "expected the name of a .safetensors file");
  }
  await refuse({ weight_map: { a: "model-9.safetensors" } }, "not in the folder");
  await refuse({ weight_map: { a: "inner.safetensors" } }, "expected a file");
  await refuse({ weight_map: { a: TWO } }, 'expected "a" in');
  await refuse({ weight_map: { a: ONE, b: TWO, c: TWO } }, 'expected "c" in');
  await refuse(`{"weight_map":{"a":"${ONE}","a":"${TWO}"}}`, "occurs twice");
  await refuse(
    { weight_map: Object.fromEntries(Array.from({ length: 513 }, (_, n) => [n, `${n}.safetensors`])) },
    "512",
  );
  for (const index of [[], {}, { weight_map: [] }, { weight_map: {} }, "null", "3"]) await refuse(index, "weight_map");
  await refuse("{", "line 1, column 2");
  await writeSafetensors(join(folder, TWO), [
    ["a", scalar(2)],
    ["b", scalar(2)],
  ]);
  await refuse({ weight_map: { a: ONE, b: TWO } }, '"a" lies in two files');
});

test("pickles are refused with the way out, an empty folder with what was sought", async () => {
  await expect(openWeights(folder)).rejects.toMatchObject({ code: "not-found" });
  await expect(openWeights(join(folder, "absent"))).rejects.toMatchObject({ code: "not-found" });
  await writeFile(join(folder, "pytorch_model.bin"), "");
  const message = expect.stringMatching(/pickle.*python3 -c "import torch;.*save_file/s);
  await expect(openWeights(folder)).rejects.toMatchObject({ code: "unsupported", message });
});

import { expect, test } from "vitest";
import { at } from "../../core/at.js";
import { CadreError } from "../../core/errors.js";
import { createDelta } from "../../experts/delta-config.js";
import { storedDelta } from "../../experts/stored-delta.js";
import type { ExpertEntry, Library } from "../../library/node/library.js";
import { initialTensors } from "../../models/initialize.js";
import { parseT5Config } from "../../models/t5/config.js";
import { createT5 } from "../../models/t5/t5.js";
import { elementCount } from "../../tensors/tensor.js";
import { createExpertReader } from "./expert-reader.js";

const model = createT5(
  parseT5Config({
    architectures: ["T5ForConditionalGeneration"],
    model_type: "t5",
    ...{ vocab_size: 20, d_model: 8, d_kv: 4, d_ff: 8, num_layers: 1, num_heads: 2, decoder_start_token_id: 0 },
  }),
);
const delta = { kind: "bottleneck", config: { width: 2 } } as const;
const { parameters } = createDelta(delta, model.hookPoints);
const bytesOfOne = parameters.reduce((sum, { shape }) => sum + 4 * elementCount(shape), 0);

function entryOf(index: number, sha256 = "a"): ExpertEntry {
  return {
    id: `expert-${String(index).padStart(8, "0")}`,
    manifest: {
      ...{ format: "cadre-expert", formatVersion: 1, name: `expert ${index}`, role: "expert", task: "t", metrics: {} },
      ...{ delta: storedDelta(delta), origin: { kind: "trained", recipe: {} }, created: "2026-01-01T00:00:00Z" },
      ...{ base: { id: "b", hash: "0".repeat(64) }, files: { "delta.safetensors": { bytes: 1, sha256 } }, sha256 },
    },
  };
}

/** A library that counts what is read, and fails as often as it is told. */
function countingLibrary(entries: readonly ExpertEntry[]) {
  const reads: string[] = [];
  let failures = 0;
  const library: Pick<Library, "read" | "path"> = {
    path: "library",
    read: async (id) => {
      reads.push(id);
      if (failures-- > 0) throw new CadreError("io", "the disk is busy");
      const entry = entries.find((one) => one.id === id);
      if (entry === undefined) throw new CadreError("not-found", "gone");
      return { ...entry, tensors: initialTensors(parameters, 1) };
    },
  };
  return {
    library,
    reads,
    failNext: () => {
      failures = 1;
    },
  };
}

test("experts are read once, when they are asked for, and of a hundred only those used last are kept", async () => {
  const entries = Array.from({ length: 100 }, (_, index) => entryOf(index));
  const { library, reads } = countingLibrary(entries);
  const reader = createExpertReader({ library, model, most: 3.5 * bytesOfOne });
  expect(reads).toEqual([]);
  const [first, second] = [at(entries, 0), at(entries, 1)];
  const [one, same] = await Promise.all([reader.read(first), reader.read(first)]);
  expect(one).toBe(same);
  expect(reads).toHaveLength(1);
  for (const entry of entries.slice(1)) {
    await reader.read(entry);
    // Used all the time.
    expect(await reader.read(first)).toBe(one);
  }
  expect(reads).toHaveLength(100);
  await reader.read(at(entries, 98));
  expect(reads).toHaveLength(100);
  await reader.read(second);
  expect(reads).toHaveLength(101);
});

test("a failure is not remembered, and a replaced expert is refused", async () => {
  const { library, failNext } = countingLibrary([entryOf(0, "b")]);
  const reader = createExpertReader({ library, model });
  failNext();
  await expect(reader.read(entryOf(0, "b"))).rejects.toMatchObject({ code: "io" });
  expect((await reader.read(entryOf(0, "b"))).id).toBe(entryOf(0).id);
  await expect(reader.read(entryOf(0, "a"))).rejects.toMatchObject({
    code: "mismatch",
    message: expect.stringContaining("refresh, and ask again"),
  });
});

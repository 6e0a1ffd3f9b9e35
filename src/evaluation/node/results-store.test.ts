import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { SystemName } from "../results-schema.js";
import type { Answered, CellKey } from "../results-store.js";
import { openResultsStore } from "./results-store.js";

const hash = (character: string) => character.repeat(64);
const identity = { base: hash("a"), settings: { normalization: "none", inputLength: 512 } };
const answered: Answered = {
  predictions: ["yes", "no"],
  scores: [1, 0],
  truncatedInputs: 0,
  flops: 1e12,
  seconds: 0.25,
};

function key(system: SystemName, task: string, changed: Partial<CellKey> = {}): CellKey {
  return { system, systemSha256: hash("b"), task, taskSha256: hash("c"), ...changed };
}

let folder = "";
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), "cadre-results-")), "results");
});
afterEach(() => rm(join(folder, ".."), { recursive: true, force: true }));

test("an evaluation that was stopped goes on with the cell that it had not finished", async () => {
  const cells = ["base", "multitask", "expert:one"].flatMap((system) =>
    ["seen", "a task/with 🦉 in its name"].map((task) => key(system as SystemName, task)),
  );
  const evaluate = async (limit: number): Promise<string[]> => {
    const store = await openResultsStore(folder, identity);
    const answeredNow: string[] = [];
    for (const cell of cells) {
      await store.cell(cell, async () => {
        if (answeredNow.length === limit) throw new Error("killed");
        answeredNow.push(`${cell.system} ${cell.task}`);
        return answered;
      });
    }
    return answeredNow;
  };
  await expect(evaluate(4)).rejects.toThrow("killed");
  expect(await readdir(join(folder, "cells"))).toHaveLength(4);
  // What a process that was killed while it wrote leaves behind; no process has this number.
  await writeFile(join(folder, "cells", ".tmp-2147483646-0123456789abcdef"), '{"system": "expert');
  expect(await evaluate(6)).toEqual(["expert:one seen", "expert:one a task/with 🦉 in its name"]);
  expect(await evaluate(6)).toEqual([]);
  expect(await readdir(join(folder, "cells"))).toHaveLength(6);
});

test("a cell comes back as it was", async () => {
  const store = await openResultsStore(folder, identity);
  const first = await store.cell(key("base", "seen"), async () => answered);
  expect(first).toEqual({ ...key("base", "seen"), ...answered });
  const again = await (await openResultsStore(folder, identity)).cell(key("base", "seen"), () =>
    Promise.reject(new Error("again")),
  );
  expect(again).toEqual(first);
});

test("cells that were answered together are found and kept one by one", async () => {
  const store = await openResultsStore(folder, identity);
  const keys = [key("expert:one", "seen"), key("expert:two", "seen")];
  for (const one of keys) {
    expect(await store.find(one)).toBeUndefined();
    await store.keep({ ...one, ...answered });
  }
  expect(await Promise.all(keys.map((one) => store.find(one)))).toEqual(keys.map((one) => ({ ...one, ...answered })));
});

test("an expert or a task of other content is answered anew, under any name", async () => {
  const store = await openResultsStore(folder, identity);
  const answer = vi.fn(async () => answered);
  await store.cell(key("expert:one", "seen"), answer);
  await store.cell(key("expert:one", "seen", { systemSha256: hash("d") }), answer);
  await store.cell(key("expert:one", "seen", { taskSha256: hash("d") }), answer);
  // The same letters in a file's name.
  await store.cell(key("expert:one", "SEEN"), answer);
  expect(answer).toHaveBeenCalledTimes(4);
  await store.cell(key("expert:one", "seen"), answer);
  expect(answer).toHaveBeenCalledTimes(4);
});

test("results of another base or other settings are refused, naming what differs", async () => {
  const store = await openResultsStore(folder, identity);
  await store.cell(key("base", "seen"), async () => answered);
  const other = { base: hash("e"), settings: { normalization: "none", inputLength: 256, seed: 1 } };
  await expect(openResultsStore(folder, other)).rejects.toThrow(
    expect.objectContaining({
      code: "mismatch",
      message: expect.stringMatching(
        /base: expected e{64}, found a{64}; inputLength: expected 256, found 512; seed: expected 1, found undefined/,
      ),
    }),
  );
  const reordered = { base: identity.base, settings: { inputLength: 512, normalization: "none" } };
  await expect(openResultsStore(folder, reordered)).resolves.toBeDefined();
});

test("two processes that open a store at once agree on its identity", async () => {
  const other = { ...identity, base: hash("e") };
  const opened = await Promise.allSettled([openResultsStore(folder, identity), openResultsStore(folder, other)]);
  expect(opened.filter(({ status }) => status === "fulfilled").length).toBeLessThanOrEqual(1);
});

test.each(["", "{", '{"system": "base"}'])(
  "a cell's file that holds %j is refused by its path, not answered again",
  async (content) => {
    const store = await openResultsStore(folder, identity);
    await store.cell(key("base", "seen"), async () => answered);
    const [name = ""] = await readdir(join(folder, "cells"));
    const path = join(folder, "cells", name);
    await writeFile(path, content);
    await expect(store.cell(key("base", "seen"), async () => answered)).rejects.toThrow(
      expect.objectContaining({ code: "invalid-file", message: expect.stringContaining(path) }),
    );
    expect(await readFile(path, "utf8")).toBe(content);
  },
);

test("a file that was renamed to another cell's is refused", async () => {
  const store = await openResultsStore(folder, identity);
  await store.cell(key("base", "seen"), async () => answered);
  await store.cell(key("base", "other"), async () => answered);
  const names = await readdir(join(folder, "cells"));
  const [first = "", second = ""] = names.map((name) => join(folder, "cells", name));
  await writeFile(first, await readFile(second));
  const opening = Promise.all(["seen", "other"].map((task) => store.cell(key("base", task), async () => answered)));
  await expect(opening).rejects.toThrow(/expected the cell of .* found that of/);
});

test("answers without a score for each, or with one above 1, are not kept", async () => {
  const store = await openResultsStore(folder, identity);
  for (const wrong of [{ scores: [1] }, { scores: [1, 2] }, { scores: [1, Number.NaN] }]) {
    await expect(store.cell(key("base", "seen"), async () => ({ ...answered, ...wrong }))).rejects.toThrow(
      expect.objectContaining({ code: "invalid-argument", message: expect.stringContaining('cell of base on "seen"') }),
    );
  }
  expect(await readdir(join(folder, "cells"))).toEqual([]);
});

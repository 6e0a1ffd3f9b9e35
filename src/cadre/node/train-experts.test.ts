import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openLibrary } from "../../library/node/library.js";
import { letterRows, linesOf, writeTinyBase } from "./train-expert.test.helpers.js";
import { trainExperts } from "./train-experts.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-train-experts-"));
  await writeTinyBase(join(folder, "base"));
  await writeFile(join(folder, "letters.jsonl"), linesOf(letterRows(60)));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const options = (name: string) => ({
  library: join(folder, name),
  runFolder: join(folder, "runs", name),
  base: join(folder, "base"),
  mode: "experts" as const,
});

test("a file becomes an expert of the steps that were asked for", async () => {
  const report = await trainExperts(join(folder, "letters.jsonl"), { ...options("short"), steps: 3 });
  expect(report.failed).toEqual([]);
  expect(report.experts).toHaveLength(1);
  const [expert] = await (await openLibrary(report.library)).list();
  expect(expert?.manifest).toMatchObject({ name: "letters", metrics: { steps: 3 }, delta: { kind: "full" } });
});

test.each([0, 2.5, Number.NaN])("%s steps are refused before anything is written", async (steps) => {
  const refused = trainExperts(join(folder, "letters.jsonl"), { ...options("refused"), steps });
  await expect(refused).rejects.toMatchObject({ code: "invalid-argument", message: expect.stringMatching(/steps/) });
  await expect(openLibrary(join(folder, "refused"))).rejects.toMatchObject({ code: "not-found" });
});

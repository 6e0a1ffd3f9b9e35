import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { fakeResults, fakeTask } from "../comparison.test.helpers.js";
import { readResults, writeResults } from "./results-file.js";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-results-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("results are written and read again as they were", async () => {
  const tasks = [fakeTask("a", { suite: "seen", instances: 3 })];
  const results = await fakeResults({ tasks, scorers: { base: () => [0.1 + 0.2, -1] } });
  const path = join(folder, "results.json");
  await writeResults(path, results);
  expect(await readResults(path)).toEqual(results);
  await expect(
    writeResults(join(folder, "other.json"), { ...results, cells: [...results.cells, ...results.cells] }),
  ).rejects.toThrow(/other\.json:\s.*different cells/);
  expect(await readdir(folder)).toEqual(["results.json"]);
});

test("a file that holds something else is refused by its path", async () => {
  const path = join(folder, "results.json");
  await expect(readResults(path)).rejects.toThrow(expect.objectContaining({ code: "not-found" }));
  await writeFile(path, '{"format": "cadre-report"}');
  await expect(readResults(path)).rejects.toThrow(
    expect.objectContaining({ code: "invalid-file", message: expect.stringContaining(path) }),
  );
});

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { quickstartResultsSchema } from "../evaluation/quickstart-results.js";
import { openLibrary } from "../library/node/library.js";
import { runCadre } from "./run-cadre.test.helpers.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-quickstart-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test("the quickstart's experts are far above the base on their tasks, retrieved ones above base and random on others", async () => {
  const { code, output, errors } = await runCadre(["quickstart", "--run", join(folder, "run")]);
  expect(errors).not.toMatch(/warning|Error/);
  expect(code).toBe(0);
  expect(output).toMatch(/Unseen tasks/);
  const read = (name: string) => readFile(join(folder, "run", name), "utf8");
  const { experts, seen, unseen } = quickstartResultsSchema.parse(JSON.parse(await read("results.json")));
  expect(experts).toBe(8);
  expect(seen.expert.low).toBeGreaterThan(seen.base.high + 30);
  expect(seen.auto.low).toBeGreaterThan(seen.base.high + 30);
  expect(seen.routingAccuracy.low).toBeGreaterThan(90);
  expect(unseen.retrieved.low).toBeGreaterThan(unseen.base.high);
  expect(unseen.retrieved.low).toBeGreaterThan(unseen.random.high);
  const page = await read("report.html");
  expect(page).toMatch(/<svg/);
  expect(page).not.toMatch(/(src|href)="(https?:)?\/\//);
  const library = await openLibrary(join(folder, "run", "library"));
  expect((await library.list()).filter(({ manifest }) => manifest.role === "expert")).toHaveLength(8);
}, 1_500_000);

import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expertRecipeSchema, expertRecipes } from "../../experts/expert-recipe.js";
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

test("a failing task ends a strict call; inputs that two tasks share are counted", async () => {
  const two = join(folder, "two");
  await mkdir(two);
  await writeFile(join(two, "letters.jsonl"), linesOf(letterRows(60)));
  const others = letterRows(60).map(({ input = "" }, index) => ({
    input,
    target: index % 2 === 0 ? "even" : "odd",
    // Splits that are made follow the input, the same in both tasks; given ones need not.
    split: index % 5 === 0 ? "test" : index % 5 === 1 ? "validation" : "train",
  }));
  await writeFile(join(two, "places.jsonl"), linesOf(others));
  const report = await trainExperts(two, { ...options("shared"), steps: 2 });
  expect(await readFile(report.judged?.page ?? "", "utf8")).toMatch(/\d+ test rows have the input of another task/);

  const alike = Array.from({ length: 30 }, (_, index) => ({ input: `row ${index}`, target: "same" }));
  await writeFile(join(two, "alike.jsonl"), linesOf(alike));
  const loose = await trainExperts(two, { ...options("loose"), steps: 2 });
  expect(loose.failed.map(({ task }) => task)).toEqual(["alike"]);
  await expect(trainExperts(two, { ...options("strict"), steps: 2, strict: true })).rejects.toMatchObject({
    code: "invalid-file",
    message: expect.stringMatching(/alike: /),
  });
}, 240_000);

test("earlier experts of a judged task count only where they were trained on the same rows; those of other tasks are candidates", async () => {
  const numbers = Array.from({ length: 60 }, (_, index) => ({ input: `number ${index}`, target: `${index % 2}` }));
  await writeFile(join(folder, "numbers.jsonl"), linesOf(numbers));
  const files = ["letters", "numbers"].map((name) => join(folder, `${name}.jsonl`));
  const recipe = (seed: number) => expertRecipeSchema.parse({ ...expertRecipes.mini, steps: 2, warmupSteps: 1, seed });
  const where = options("grown");
  const train = (paths: readonly string[], seed: number, mode: "experts" | "multitask") =>
    trainExperts(paths, { ...where, recipe: recipe(seed), mode, replace: mode === "multitask" });
  const first = await train(files, 2, "experts");
  expect(first.judged?.results.experts.map(({ task }) => task)).toEqual(["letters", "numbers"]);

  const sameRows = await train(files, 2, "multitask");
  expect(sameRows.judged?.results.experts.map(({ task }) => task)).toEqual(["letters", "numbers"]);
  expect(await readFile(sameRows.judged?.page ?? "", "utf8")).not.toMatch(/Infinity|Left out/);

  // Another seed divides the rows in another way: what was trained on before may be judged now.
  const otherRows = await train(files, 1, "multitask");
  expect(otherRows.judged?.results.experts).toEqual([]);
  const page = await readFile(otherRows.judged?.page ?? "", "utf8");
  for (const id of first.experts) expect(page).toContain(id);
  expect(page).toContain("trained on other rows");

  await writeFile(join(folder, "more.jsonl"), linesOf(letterRows(40)));
  const added = await train([join(folder, "more.jsonl")], 1, "experts");
  expect(added.judged?.results.experts.map(({ task }) => task)).toEqual(["letters", "more", "numbers"]);
  expect(await readFile(added.judged?.page ?? "", "utf8")).toContain("2 experts that the library had of other tasks");
}, 240_000);

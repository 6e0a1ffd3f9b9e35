import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { letterRows, linesOf, writeTinyBase } from "../cadre/node/train-expert.test.helpers.js";
import { parseResults } from "../evaluation/results-schema.js";
import { type Ended, runCadre } from "./run-cadre.test.helpers.js";

let folder = "";

/** Other words and other answers than those of the letters. */
const numberRows = Array.from({ length: 60 }, (_, index) => ({
  text: `number ${index}`,
  label: index % 2 === 0 ? "even" : "odd",
}));

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-cli-tasks-"));
  await writeTinyBase(join(folder, "base"));
  await mkdir(join(folder, "tasks"));
  await writeFile(join(folder, "tasks", "letters.jsonl"), `${linesOf(letterRows(60))}no JSON\n`);
  const csv = ["text,label", ...numberRows.map(({ text, label }) => `${text},${label}`)].join("\n");
  await writeFile(join(folder, "tasks", "numbers 🔢.csv"), csv);
  await writeFile(
    join(folder, "tasks", "same.jsonl"),
    linesOf(numberRows.map(({ text }) => ({ text, label: "always" }))),
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function train(...flags: string[]): Promise<Ended> {
  return runCadre(["train", "./tasks", "--library", "./library", "--base", "./base", "--threads", "1", ...flags], {
    cwd: folder,
  });
}

test("a dry run says what would be trained, and writes nothing", async () => {
  const { code, output } = await train("--steps", "3", "--dry-run");
  expect(code).toBe(0);
  expect(output).toMatch(/letters\s+\d+ rows to train on, \d+ for validation; 3 steps/);
  expect(output).toMatch(/no expert: same: .*always/);
  expect(output).toContain("1 bad rows are left out");
  await expect(readFile(join(folder, "library", "library.json"))).rejects.toThrow(/ENOENT/);
}, 120_000);

test("files that are no part of a task are named, and an error with --strict; answer choices need a template", async () => {
  await mkdir(join(folder, "mixed"));
  for (const name of ["train", "alpha", "beta"]) {
    await writeFile(join(folder, "mixed", `${name}.jsonl`), linesOf(letterRows(60)));
  }
  const flags = ["train", "./mixed", "--library", "./library", "--base", "./base", "--threads", "1", "--dry-run"];
  const loose = await runCadre(flags, { cwd: folder });
  expect(loose.code, loose.errors).toBe(0);
  for (const name of ["alpha", "beta"]) {
    expect(loose.errors).toContain(`skipped: mixed/${name}.jsonl: the folder is one task, as it holds train.jsonl`);
  }
  const strict = await runCadre([...flags, "--strict"], { cwd: folder });
  expect(strict.code).toBe(3);
  expect(strict.errors).toContain("mixed/alpha.jsonl: expected a part of a task");
  const choices = await runCadre([...flags, "--answer-choices", "a ||| b"], { cwd: folder });
  expect(choices.code).toBe(2);
  expect(choices.errors).toContain("train: expected --template beside --answer-choices");
  const swallowed = await runCadre(["train", "--library", "./library", "--choices", "a", "b", "./mixed"], {
    cwd: folder,
  });
  expect(swallowed.code).toBe(2);
  expect(swallowed.errors).toContain("paths come first: --template and --choices take all values that follow them");
}, 240_000);

test("rows are counted as rows, however many templates show them", async () => {
  const { output } = await train("--steps", "3", "--dry-run", "--template", "{{ input }}", "Once more: {{ input }}");
  const [, rows] = /letters: (\d+) \+ \d+ \+ \d+ rows, each by 2 templates/.exec(output) ?? [];
  expect(Number(rows)).toBeGreaterThan(40);
  expect(Number(rows)).toBeLessThan(60);
  expect(output).toMatch(new RegExp(`letters\\s+${2 * Number(rows)} examples to train on`));
}, 120_000);

test("a folder of files becomes a library, a table and a page; a failing task is named; a second call trains nothing again", async () => {
  const first = await train("--steps", "3");
  // One task has no expert.
  expect(first.code, first.errors).toBe(3);
  expect(first.errors).toMatch(/no expert: same: /);
  for (const part of ["letters", "numbers 🔢", "multitask", "majority", "report.html", "library"]) {
    expect(first.output).toContain(part);
  }
  const run = join(folder, "runs", "library");
  expect(await readFile(join(run, "report.html"), "utf8")).toContain("numbers 🔢");
  const results = parseResults(JSON.parse(await readFile(join(run, "evaluation.json"), "utf8")), "evaluation.json");
  expect(results.tasks.map(({ name }) => name)).toEqual(["letters", "numbers 🔢"]);
  expect(results.systems.map(({ name, steps }) => [name, steps])).toEqual([
    ["base", 0],
    ["multitask", 6],
    ["multitaskOneBudget", 3],
  ]);
  // Every system on every task: base, two multitask models, two experts.
  expect(results.cells).toHaveLength(10);
  const listed = await runCadre(["experts", "list", "./library", "--json"], { cwd: folder });
  expect(listed.output).toContain("letters");
  expect(listed.output).toContain("multitask");

  const again = await train("--steps", "3", "--json");
  expect(again.errors).toContain("is there already");
  expect(again.errors).not.toMatch(/right on validation rows/);
  const { experts, failed, comparison } = JSON.parse(again.output);
  expect(experts).toHaveLength(2);
  expect(failed).toEqual([{ task: "same", reason: expect.stringContaining("always") }]);
  expect(comparison.seen.figures.map(({ name }: { name: string }) => name)).toContain("auto");
}, 300_000);

test("experts of another recipe are not replaced unless asked", async () => {
  const { code, errors } = await train("--steps", "2", "--mode", "experts");
  expect(code).toBe(3);
  expect(errors).toMatch(/letters: .*expected no expert/);
  const replaced = await train("--steps", "2", "--mode", "experts", "--replace");
  expect(replaced.errors).not.toContain("no expert: letters");
  expect(replaced.output).toContain("after 2 steps");
}, 300_000);

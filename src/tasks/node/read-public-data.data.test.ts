import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { sha256 } from "../../core/hash.js";
import { mapFields } from "../field-map.js";
import { renderPrompts } from "../promptsource/render-prompts.js";
import type { RawRow } from "../row-values.js";
import type { Task } from "../task.js";
import { renderExample } from "../template.js";
import { readBigBenchTask } from "./read-big-bench.js";
import { readClassificationFolder } from "./read-classification-folder.js";
import { readCopa } from "./read-copa.js";
import { readFieldMap } from "./read-field-map.js";
import { readInstructions } from "./read-instructions.js";
import { readPromptCompletions } from "./read-line-tasks.js";
import { readMultipleChoiceCsv } from "./read-multiple-choice-csv.js";
import { readNaturalInstructions } from "./read-natural-instructions.js";
import { readPromptTemplates } from "./read-prompt-templates.js";

const data = resolve("../shared/data");

/** Rows by path, as whoever made the data counted them. */
const counts = new Map<string, number>();
if (existsSync(data)) {
  for (const line of readFileSync(join(data, "MANIFEST.jsonl"), "utf8").trim().split("\n")) {
    const { path, rows }: { path: string; rows: number } = JSON.parse(line);
    counts.set(path, rows);
  }
}
const pathsBelow = (folder: string, ending: string) =>
  [...counts.keys()].filter((path) => path.startsWith(`${folder}/`) && path.endsWith(ending)).sort();
const countOf = (path: string) => counts.get(path) ?? Number.NaN;

/** Fails for a task with an example that could not be trained on. */
function expectSound(task: Task): void {
  for (const instance of task.instances) {
    const { input, targets, choices } = renderExample(task, instance, task.templates[0] ?? "");
    const isSound =
      input.trim() !== "" && targets.every((target) => target.trim() !== "" && (choices?.includes(target) ?? true));
    if (!isSound || targets.length === 0 || new Set(choices).size !== (choices?.length ?? 0)) {
      expect.fail(`${task.name}: ${JSON.stringify({ input, targets, choices })}`);
    }
  }
}

const fixtures = "test/fixtures/prompts";
const rowsOf: Readonly<Record<string, RawRow[]>> = JSON.parse(readFileSync(join(fixtures, "rows.json"), "utf8"));

describe.skipIf(!existsSync(data))(`public instruction data (needs ${data})`, () => {
  test("every template of promptsource parses, and renders rows of its data set's form as promptsource does", async () => {
    const hashes: Readonly<Record<string, string>> = JSON.parse(readFileSync(join(fixtures, "hashes.json"), "utf8"));
    const paths = pathsBelow("promptsource", "templates.yaml");
    let count = 0;
    let usable = 0;
    const missing: string[] = [];
    for (const path of paths) {
      const file = await readPromptTemplates(join(data, path));
      // The manifest counts !Template and !TemplateMetadata.
      expect(file.templates, path).toHaveLength(countOf(path) / 2);
      count += file.templates.length;
      usable += renderPrompts(file, rowsOf[file.dataset] ?? []).report.usable;
      const lines = file.templates.flatMap((template) =>
        (rowsOf[file.dataset] ?? []).map((row) => {
          const rendered = template.render(row, () => 0);
          if (rendered.kind === "problem") missing.push(`${file.dataset}/${template.name}: ${rendered.field}`);
          if (rendered.kind !== "example") return null;
          const { input, targets, choices } = rendered.example;
          return [input, targets, choices ?? null];
        }),
      );
      expect(await sha256(new TextEncoder().encode(JSON.stringify(lines))), file.dataset).toBe(hashes[file.dataset]);
    }
    expect([paths.length, count, usable]).toEqual([58, 504, 504]);
    expect(missing).toEqual([]);
  });

  test("superglue-cls: all rows are read; by the field maps all become rows that promptsource's templates render", async () => {
    const maps = readdirSync("recipes/field-maps").map((name) => name.replace(/\.yaml$/, ""));
    const sets = pathsBelow("superglue-cls", "train.json").map((path) => path.split("/")[1] ?? "");
    // Five classes; promptsource's amazon_polarity has two.
    expect(sets.filter((set) => !maps.includes(set))).toEqual(["amazon"]);
    const templatePaths = new Map<string, string>();
    for (const path of pathsBelow("promptsource", "templates.yaml")) {
      templatePaths.set(path.slice("promptsource/templates/".length, -"/templates.yaml".length), path);
    }
    for (const set of sets) {
      const tasks = await readClassificationFolder(join(data, "superglue-cls", set));
      for (const split of ["train", "test"] as const) {
        expect(tasks[split].instances, set).toHaveLength(countOf(`superglue-cls/${set}/${split}.json`));
        expectSound(tasks[split]);
      }
      if (!maps.includes(set)) continue;
      const map = await readFieldMap(`recipes/field-maps/${set}.yaml`);
      const templates = await readPromptTemplates(join(data, templatePaths.get(map.templates) ?? map.templates));
      const train = mapFields(map, tasks.train.instances);
      const test = mapFields(map, tasks.test.instances);
      expect([train.problems, test.problems], set).toEqual([[], []]);
      expect([train.rows.length, test.rows.length]).toEqual([
        tasks.train.instances.length,
        tasks.test.instances.length,
      ]);
      // All rows take minutes; a slice has every form.
      const { tasks: rendered, report } = renderPrompts(templates, [
        ...train.rows.slice(0, 60),
        ...test.rows.slice(0, 60),
      ]);
      const total = Math.min(60, train.rows.length) + Math.min(60, test.rows.length);
      for (const one of report.templates) {
        expect([one.name, one.problems, one.rendered + one.skipped]).toEqual([one.name, [], total]);
      }
      expect(report.usable, set).toBe(templates.templates.length);
      for (const task of rendered) expectSound(task);
    }
  });

  test("BIG-bench: every example, multiple choice and generative", async () => {
    const paths = pathsBelow("big-bench", "task.json");
    let examples = 0;
    for (const path of paths) {
      const task = await readBigBenchTask(join(data, path));
      expect(task.instances, path).toHaveLength(countOf(path));
      expectSound(task);
      examples += task.instances.length;
    }
    const total = paths.reduce((sum, path) => sum + countOf(path), 0);
    expect([paths.length, examples]).toEqual([25, total]);
    const dyck: { examples: { target: string }[] } = JSON.parse(
      readFileSync(join(data, "big-bench/dyck_languages/task.json"), "utf8"),
    );
    const { instances } = await readBigBenchTask(join(data, "big-bench/dyck_languages/task.json"));
    expect(instances.map(({ targets }) => targets)).toEqual(dyck.examples.map(({ target }) => [target.trim()]));
  });

  test("MMLU: every question of every subject", async () => {
    const paths = pathsBelow("mmlu", ".csv");
    let questions = 0;
    for (const path of paths) {
      const task = await readMultipleChoiceCsv(join(data, path));
      // The manifest counts the line of names.
      expect(task.instances, path).toHaveLength(countOf(path) - 1);
      expect(task.instances.every(({ choices }) => choices?.length === 4)).toBe(true);
      expectSound(task);
      questions += task.instances.length;
    }
    expect([paths.length, questions]).toEqual([114, paths.reduce((sum, path) => sum + countOf(path) - 1, 0)]);
  });

  test("COPA: every item, which promptsource's templates render", async () => {
    const templates = await readPromptTemplates(join(data, "promptsource/templates/super_glue/copa/templates.yaml"));
    for (const path of pathsBelow("raw-qa/copa", ".xml")) {
      const rows = await readCopa(join(data, path));
      const items = readFileSync(join(data, path), "utf8").match(/<item\b/g) ?? [];
      expect([rows.length, items.length], path).toEqual([countOf(path), countOf(path)]);
      const { report } = renderPrompts(
        templates,
        rows.map((row) => ({ ...row })),
      );
      expect(report.templates.flatMap(({ problems }) => problems)).toEqual([]);
    }
  });

  test("Natural Instructions 1 and 2: every instance with an answer", async () => {
    for (const [folder, files, split] of [
      ["natural-instructions", 182, undefined],
      ["natural-instructions", 168, "train"],
      ["natural-instructions-v1", 48, undefined],
    ] as const) {
      const { tasks, problems, absent } = await readNaturalInstructions(join(data, folder), split ? { split } : {});
      expect([tasks.length, absent]).toEqual([files, []]);
      for (const task of tasks) expectSound(task);
      const rows = tasks.reduce((sum, { name }) => sum + countOf(`${folder}/tasks/${name}.json`), 0);
      expect(tasks.reduce((sum, { instances }) => sum + instances.length, 0) + problems.length).toBe(rows);
      expect(problems).toHaveLength(folder === "natural-instructions" ? 1 : 0);
    }
    for (const path of ["train.json", "test.json"].flatMap((name) => pathsBelow("sapt-superni", name))) {
      expect((await readInstructions(join(data, path))).instances, path).toHaveLength(countOf(path));
    }
  });

  test("P3: every row", async () => {
    let rows = 0;
    const problems: string[] = [];
    const hollow: string[] = [];
    for (const path of pathsBelow("p3-t0-train", ".jsonl")) {
      if (countOf(path) === 0) continue;
      const before = problems.length;
      const onBadRow = (problem: string) => problems.push(problem);
      const task = await readPromptCompletions(join(data, path), { onBadRow }).catch((error: unknown) => {
        expect(String(error)).toContain("expected at least one line with a good row");
        hollow.push(path);
      });
      const read = task?.instances.length ?? 0;
      expect(read + problems.length - before, path).toBe(countOf(path));
      rows += read;
    }
    // No row of these has a completion.
    expect([hollow.length, hollow.every((path) => path.startsWith("p3-t0-train/trec_"))]).toEqual([7, true]);
    expect(problems.every((problem) => problem.endsWith("expected a completion that is not empty"))).toBe(true);
    expect(rows + problems.length).toBe(8557);
  });
});

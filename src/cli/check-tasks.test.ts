import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseReport } from "../report/report-schema.js";
import { type Ended, runCadre } from "./run-cadre.test.helpers.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-check-tasks-"));
  const tickets = Array.from({ length: 60 }, (_, index) => ({
    text: `ticket ${index} <b>`,
    label: ["billing", "bug"][index % 2],
    id: index,
  }));
  const lines = (rows: readonly unknown[]) => rows.map((row) => JSON.stringify(row)).join("\n");
  const files = {
    "tickets 🎫.jsonl": lines([...tickets, { text: "no label" }, { text: "ticket 0 <b>", label: "bug" }]),
    "titles.csv": `input,target\n${Array.from({ length: 30 }, (_, index) => `"Text, ${index}",title ${index}`).join("\n")}\nragged\n`,
    "mood/train.jsonl": lines([
      { text: "good", label: 1 },
      { text: "bad", label: 0 },
      { text: "so so", label: 0 },
    ]),
    "mood/test.jsonl": lines([
      { text: "good", label: 1 },
      { text: "fine", label: 1 },
    ]),
    "twice.csv": "a,a\n",
    "notes.md": "",
    "sound/sound.jsonl": lines(tickets),
  };
  for (const name of ["mood", "sound"]) await mkdir(join(folder, name));
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function check(...flags: string[]): Promise<Ended> {
  return runCadre(["check", ...flags], { cwd: folder });
}

test("a folder: what would be trained, what is wrong, and what to do", { timeout: 180_000 }, async () => {
  const { code, output, errors } = await check(".");
  expect(errors).toBe("");
  expect(code).toBe(0);
  expect(output).toMatch(/^tickets 🎫 {2}\(tickets 🎫\.jsonl\)$/m);
  expect(output).toMatch(/rows +61 good, 1 bad/);
  expect(output).toContain('"billing" 49 %, "bug" 51 % (inferred: 2 different answers in 61 rows)');
  expect(output).toContain("tickets 🎫.jsonl line 61: expected a field that holds the target");
  expect(output).toContain('"ticket 0 <b>": "billing" (tickets 🎫.jsonl line 1), "bug" (tickets 🎫.jsonl line 62)');
  expect(output).toContain("titles.csv line 32: expected 2 columns as in the first line, found 1");
  expect(output).toContain("free text (30 different answers in 30 rows");
  expect(output).toContain("mood/train.jsonl line 1 (train): as mood/test.jsonl line 1 (test)");
  expect(output).toContain('failed: twice: twice.csv: line 1: the column "a" occurs twice');
  expect(output).toContain("skipped: notes.md");
  expect(output).toMatch(
    /problem: No expert can be trained: expected training rows with different answers, found "0" in all 1/,
  );
  expect(output).toMatch(/2 tasks to train on, 1 task that cannot be trained, \d+ training rows, \d+ problems$/m);
});

test("--json holds everything, --html writes a page, --strict fails", { timeout: 180_000 }, async () => {
  const { code, output } = await check("tickets 🎫.jsonl", "--json", "--strict", "--html", "page.html", "--seed", "3");
  expect(code).toBe(3);
  const result: unknown = JSON.parse(output);
  expect(result).toMatchObject({
    format: "cadre-task-check",
    formatVersion: 1,
    recipe: "mini",
    seed: 3,
    base: "cadre-mini",
    problems: 2,
    tasks: [
      {
        name: "tickets 🎫",
        rows: 62,
        badRows: 1,
        problems: [{ file: "tickets 🎫.jsonl", line: 61, kind: "missing-field" }],
        conflictCount: 1,
        unusedFields: ["id"],
        templates: [{ choices: ["billing", "bug"], choicesFrom: "inferred" }],
      },
    ],
  });
  const page = await readFile(join(folder, "page.html"), "utf8");
  expect(page).toContain("ticket 0 &lt;b&gt;");
  expect(page).not.toContain("ticket 0 <b>");
  const json = /<script type="application\/json" id="report">([\s\S]*?)<\/script>/.exec(page)?.[1] ?? "";
  const report = parseReport(JSON.parse(json), "page.html");
  expect(report.sections.map(({ title }) => title)).toEqual(["Overview", "tickets 🎫"]);
});

test("templates and choices on the command line; a sound task passes --strict", { timeout: 180_000 }, async () => {
  const sound = await check(
    "sound",
    "--strict",
    "--template",
    "Sort: {{ text }} ||| {{ label }}",
    "--choices",
    "bug",
    "billing",
  );
  expect(sound.errors).toBe("");
  expect(sound.code).toBe(0);
  expect(sound.output).toContain('"bug" 50 %, "billing" 50 % (option: as given)');
  expect(sound.output).toContain("no problems");
});

test("--recipe elm: its seed, and long choices that mini refuses", { timeout: 180_000 }, async () => {
  const rows = Array.from({ length: 60 }, (_, index) => ({
    text: `row ${index}`,
    label: `l${index % 12}${"x y".repeat(300)}`,
  }));
  await mkdir(join(folder, "long"));
  await writeFile(join(folder, "long", "long.jsonl"), rows.map((row) => JSON.stringify(row)).join("\n"));
  const [mini, elm] = await Promise.all([check("long", "--json"), check("long", "--json", "--recipe", "elm")]);
  expect(JSON.parse(mini.output)).toMatchObject({
    ...{ recipe: "mini", seed: 1 },
    tasks: [
      {
        refusal: expect.stringMatching(/expected choices of at most 1024 tokens together.*or train by the recipe elm/),
      },
    ],
  });
  const { recipe, seed, tasks } = JSON.parse(elm.output);
  expect([recipe, seed, tasks[0].templates[0].inputTokens.limit]).toEqual(["elm", 42, 256]);
  expect(tasks[0].refusal).not.toMatch(/recipe elm/);
});

test("what the data hold cannot reach the terminal raw; --strict fails on what is skipped", {
  timeout: 180_000,
}, async () => {
  const rows = Array.from({ length: 40 }, (_, index) => ({
    text: `row ${index}`,
    label: ["a, b\u001b[31m", `${"👍".repeat(70)}`][index % 2],
  }));
  await mkdir(join(folder, "odd"));
  await writeFile(join(folder, "odd", "train.jsonl"), rows.map((row) => JSON.stringify(row)).join("\n"));
  await writeFile(join(folder, "odd", "alpha.jsonl"), "");
  const { code, output } = await check("odd", "--strict");
  expect(code).toBe(3);
  expect(output).not.toMatch(/\p{Cs}|(?!\n)\p{Cc}/u);
  expect(output).toContain(`"a, b\\u001b[31m" 50 %, "${"👍".repeat(60)}…" 50 %`);
  expect(output).toMatch(/^skipped: odd\/alpha\.jsonl: the folder is one task, as it holds train\.jsonl/m);
  expect(output).not.toContain("()");
});

test.each([
  [["absent"], 3, "cannot read absent"],
  [["notes.md"], 3, "notes.md: expected a file that ends in .jsonl"],
  [["sound", "--template", "{{ text"], 2, "expected Jinja"],
  [["sound", "--choices", "one"], 2, "expected at least two different answers"],
  [["sound", "--answer-choices", "Yes ||| No"], 2, "expected --template beside --answer-choices"],
  [
    ["--template", "{{ text }} ||| {{ label }}", "sound"],
    2,
    "paths come first, as --template takes all that follows it",
  ],
  [["--choices", "bug", "billing", "sound"], 2, "paths come first, as --choices takes all that follows it"],
  [["sound", "--template", "{{ text }}", "titles.csv"], 2, 'got "titles.csv"; paths come first'],
  [["sound", "--choices", "bug", "billing", "titles.csv"], 2, 'got the file "titles.csv"; paths come first'],
  [["sound", "--recipe", "elms"], 2, "did you mean elm?"],
  [["sound", "--seed", "x"], 2, "--seed: expected a whole number"],
  [["sound", "--base", "nowhere/at/all"], 3, "nowhere/at/all"],
])("%j is refused", { timeout: 180_000 }, async (flags, expected, message) => {
  const { code, errors } = await check(...flags);
  expect(errors).toContain(message);
  expect(errors).not.toContain("    at ");
  expect(code).toBe(expected);
});

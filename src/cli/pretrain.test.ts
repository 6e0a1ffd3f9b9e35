import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { stringify } from "yaml";
import { tinyRecipe, writeTinyData } from "../cadre/node/pretraining.test.helpers.js";
import { type Ended, runCadre } from "./run-cadre.test.helpers.js";

let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-cli-pretrain-"));
  await writeTinyData(folder, { "books/empty.txt": "\n", "books/line.txt": "one line" });
  await writeFile(join(folder, "tiny.yaml"), stringify(tinyRecipe()));
  await writeFile(
    join(folder, "large.yaml"),
    stringify(tinyRecipe({ batch: { rows: 1_000_000, inputLength: 96, targetLength: 48 } })),
  );
  await writeFile(join(folder, "broken.yaml"), "steps: [1, 2\nseed: 3\n");
  await writeFile(join(folder, "wrong.yaml"), stringify({ ...tinyRecipe(), steps: -1, stepz: 3 }));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function pretrain(...flags: string[]): Promise<Ended> {
  return runCadre(["pretrain", ...flags], { cwd: folder });
}

test("help names the options and gives examples", async () => {
  const { code, output } = await pretrain("--help");
  expect(code).toBe(0);
  for (const part of ["--run", "--minutes", "--strict", "--dry-run", "$ cadre pretrain"]) {
    expect(output).toContain(part);
  }
});

test.each([
  [[], 2, "missing required argument 'recipe'"],
  [["none.yaml"], 3, "cadre: cannot read none.yaml"],
  [["broken.yaml"], 2, "cadre: broken.yaml: expected YAML:"],
  [["tiny.yaml", "--minutes", "soon"], 2, 'cadre: --minutes: expected a number from 0.01 to 1000000, got "soon"'],
  [["tiny.yaml", "--threads", "0"], 2, "cadre: --threads: expected a whole number"],
  [["tiny.yaml", "--strict", "--threads", "1"], 3, "empty.txt: expected text to train on, but the file is empty"],
])("%j ends with exit code %i and says why, without a stack", async (flags, expected, message) => {
  const { code, output, errors } = await pretrain(...flags);
  expect(code).toBe(expected);
  expect(errors).toContain(message);
  expect(errors).not.toMatch(/^\s+at .*:\d+:\d+/m);
  expect(output).toBe("");
});

test("every wrong field of a recipe is named", async () => {
  const { code, errors } = await pretrain("wrong.yaml");
  expect(code).toBe(2);
  expect(errors).toContain("wrong.yaml: expected a recipe of cadre pretrain");
  expect(errors).toContain("→ at steps");
  expect(errors).toContain('"stepz"');
});

test("a dry run shows what there is and what it would take, and trains nothing", async () => {
  const { code, output, errors } = await pretrain("tiny.yaml", "--dry-run", "--threads", "1", "--run", "dry/run");
  expect(code).toBe(0);
  expect(errors).toContain("skipped books/empty.txt: empty");
  expect(output).toMatch(/text {7}\d+\.\d\d M tokens, \d+ k of other texts for validation/);
  expect(output).toContain("tasks      60 instances of 1 instruction files");
  expect(output).toMatch(/model {6}0\.0\d M parameters; 12 steps of \d+ GFLOP, \d+\.\d TFLOP in all/);
  expect(output).toMatch(/tokens {5}at most 0\.00 M input tokens seen, 0\.\d times those of the text/);
  expect(output).toMatch(/memory {5}about 0\.\d\d GiB at the peak, \d+\.\d\d GiB available$/m);
  expect(output).toMatch(/estimate {3}.* of training at 55 % of the \d+ GFLOP\/s/);
  expect(output).toContain("dry run: nothing was trained");
  expect(await readdir(join(folder, "dry"))).toEqual(["encoded-text"]);
  // Measuring the fastest product takes long where other work takes the cores.
}, 180_000);

test("a run that cannot fit is refused before it starts, and a dry run says so", async () => {
  const refused = await pretrain("large.yaml", "--threads", "1");
  expect(refused.code).toBe(4);
  expect(refused.errors).toMatch(
    /expected a training that fits into the \d+\.\d GiB available, this one is predicted to take \d+/,
  );
  expect(refused.errors).toContain("Smaller: 500000 rows instead of 1000000");
  const dry = await pretrain("large.yaml", "--dry-run", "--threads", "1");
  expect(dry.code).toBe(0);
  expect(dry.output).toMatch(/GiB available; it would be refused$/m);
}, 180_000);

test("a run prints its data, its progress up to 100 %, and where the model is", async () => {
  const { code, output, errors } = await pretrain("tiny.yaml", "--threads", "1");
  expect(code).toBe(0);
  expect(output).toContain("tasks      60 instances of 1 instruction files");
  expect(output).toMatch(/model {6}0\.0\d M parameters; 12 steps of/);
  expect(output).toMatch(/finished at step 12 of 12; the model as it is now: runs\/tiny\/model/);
  for (const [, percent] of errors.matchAll(/^(?:reading|training) {2}(\d+) %/gm)) {
    expect(Number(percent)).toBeLessThanOrEqual(100);
  }
  expect(errors).toMatch(/^reading {2}0 %/m);
  expect(JSON.parse(await readFile(join(folder, "runs/tiny/data.json"), "utf8"))).toMatchObject({ type: "data-ready" });
});

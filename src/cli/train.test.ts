import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { stringify } from "yaml";
import { letterRows, linesOf, writeTinyBase } from "../cadre/node/train-expert.test.helpers.js";
import { smallBaseDeltas } from "../experts/expert-recipe.js";
import { missingWebgpu } from "../runtime/node/webgpu.test.helpers.js";
import { type Ended, runCadre } from "./run-cadre.test.helpers.js";

let folder = "";
const withoutWebgpu = await missingWebgpu();

const recipe = {
  format: "cadre-training",
  base: "base",
  task: "letters.jsonl",
  choices: "answers",
  recipe: "mini",
  overrides: { delta: smallBaseDeltas.lora.delta, steps: 20, batch: { rows: 8 } },
  output: "experts/letters",
};

/** Too short to learn anything. */
const brief = { ...recipe, overrides: { ...recipe.overrides, steps: 3, warmupSteps: 1, batch: { rows: 4 } } };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-cli-train-"));
  await writeTinyBase(join(folder, "base"));
  await writeFile(join(folder, "letters.jsonl"), linesOf(letterRows(60)));
  await writeFile(join(folder, "tiny.yaml"), stringify(recipe));
  await writeFile(join(folder, "long.yaml"), stringify({ ...recipe, overrides: { steps: 100_000 }, output: "long" }));
  for (const kind of ["cpu", "webgpu"]) {
    await writeFile(join(folder, `on-${kind}.yaml`), stringify({ ...brief, output: `experts/${kind}` }));
  }
  await writeFile(
    join(folder, "large.yaml"),
    stringify({ ...recipe, overrides: { ...recipe.overrides, batch: { rows: 200_000 } }, output: "large" }),
  );
  await writeFile(join(folder, "slip.yaml"), stringify({ ...recipe, overrides: { stepz: 3 } }));
  await writeFile(join(folder, "hub.yaml"), stringify({ ...recipe, base: "nobody/never-cached" }));
  await writeFile(join(folder, "broken.yaml"), "steps: [1, 2\nseed: 3\n");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function trainCommand(flags: readonly string[], interruptAt?: string): Promise<Ended> {
  const env = { ...process.env, HF_HOME: join(folder, "hub") };
  return runCadre(["train", ...flags], { cwd: folder, env, interruptAt });
}

test("help names the options and gives examples", async () => {
  const { code, output } = await trainCommand(["--help"]);
  expect(code).toBe(0);
  for (const part of ["--base", "--run", "--dry-run", "--offline", "--threads", "--json", "$ cadre train", "Ctrl-C"]) {
    expect(output).toContain(part);
  }
}, 60_000);

test.each<[string[], number, string]>([
  [[], 2, "missing required argument 'path'"],
  [["none.yaml"], 3, "cadre: cannot read none.yaml"],
  [["broken.yaml"], 2, "cadre: broken.yaml: expected YAML:"],
  [["slip.yaml"], 2, 'did you mean "steps" by "stepz"?'],
  [["hub.yaml", "--offline"], 3, "offline nothing is fetched"],
  [["tiny.yaml", "--base", "./nowhere"], 3, "expected a folder, cadre-mini, or a Hub id"],
  [["tiny.yaml", "--threads", "0"], 2, "cadre: --threads: expected a whole number"],
  [["tiny.yaml", "--device", "nonsense"], 2, 'cadre: --device: expected one of cpu, webgpu, cuda, got "nonsense"'],
])(
  "%j ends with exit code %i and says why, without a stack",
  async (flags, expected, message) => {
    const { code, output, errors } = await trainCommand(flags);
    expect(errors).toContain(message);
    expect(code).toBe(expected);
    expect(errors).not.toMatch(/^\s+at .*:\d+:\d+/m);
    expect(output).toBe("");
  },
  60_000,
);

test("a dry run shows the whole recipe and what it would take, and writes nothing", async () => {
  const before = await readdir(folder);
  const { code, output } = await trainCommand(["tiny.yaml", "--dry-run", "--threads", "1"]);
  expect(code).toBe(0);
  expect(output).toMatch(/^ {4}learningRate: 0.002$/m);
  expect(output).toContain("data       54 rows to train on, 6 for validation;");
  expect(output).toMatch(/model {6}0\.0\d M parameters, 0\.0\d M trained/);
  expect(output).toMatch(/steps {6}20 of \d\.\d GFLOP/);
  expect(output).toMatch(/memory {5}about 0\.\d\d GiB at the peak, \d+\.\d\d GiB available$/m);
  expect(output).toMatch(/estimate {3}.* of steps at 55 %/);
  expect(output).toContain("dry run: nothing was trained");
  expect(await readdir(folder)).toEqual(before);
}, 180_000);

test("a training that cannot fit is refused before it starts, and a dry run says so", async () => {
  const refused = await trainCommand(["large.yaml", "--threads", "1"]);
  expect(refused.code).toBe(4);
  expect(refused.errors).toMatch(
    /expected a training that fits into the \d+\.\d GiB available, this one is predicted to take \d+/,
  );
  expect(refused.errors).toContain("Smaller:");
  const dry = await trainCommand(["large.yaml", "--dry-run", "--threads", "1"]);
  expect(dry.output).toMatch(/GiB available; it would be refused$/m);
  expect(await readdir(folder)).not.toContain("large");
}, 180_000);

test("a training prints base and expert and writes the expert; as JSON, stdout is nothing else", async () => {
  const { code, output, errors } = await trainCommand(["tiny.yaml", "--threads", "1"]);
  expect(errors).toMatch(/^training {2}\d+ %/m);
  expect(code).toBe(0);
  expect(output).toMatch(/accuracy {3}base \d+\.\d % → expert \d+\.\d % on 6 rows; always the commonest label/);
  expect(output).toMatch(/expert {5}experts\/letters$/m);
  expect(await readdir(join(folder, "experts/letters"))).toContain("adapter_config.json");
  const again = await trainCommand(["tiny.yaml", "--threads", "1", "--json"]);
  expect(JSON.parse(again.output)).toMatchObject({ task: "letters", steps: 20, validationRows: 6 });
}, 120_000);

test("Ctrl-C leaves a checkpoint from which the same command goes on", async () => {
  const { code, errors } = await trainCommand(["long.yaml", "--threads", "1"], "training  ");
  expect(code).toBe(130);
  expect(errors).toMatch(/cadre: stopped at step \d+ of 100000; the same command goes on from there \(runs\/long\)/);
  expect(await readdir(join(folder, "runs/long/checkpoints"))).toHaveLength(1);
  const [, step] = /at step (\d+)/.exec(errors) ?? [];
  const next = await trainCommand(["long.yaml", "--threads", "1"], "training  ");
  expect(next.output).toContain(`goes on from step ${step}`);
}, 120_000);

test.skipIf(process.platform !== "linux")(
  "--device webgpu without a driver says what is missing",
  async () => {
    const { code, output, errors } = await runCadre(["train", "on-webgpu.yaml", "--device", "webgpu"], {
      cwd: folder,
      env: { ...process.env, VK_ICD_FILENAMES: "/nowhere/icd.json" },
    });
    expect(errors).toMatch(/^cadre: openDevice: webgpu: [^\n]+; [^\n]+ \(cadre doctor tells more\)$/m);
    expect(errors).not.toMatch(/vkCreateInstance|loader_get_json|^\s+at /m);
    expect([code, output]).toEqual([4, ""]);
  },
  120_000,
);

test.skipIf(withoutWebgpu !== undefined)(
  "--device webgpu trains the expert that the processor trains",
  async () => {
    const results = [];
    for (const kind of ["cpu", "webgpu"]) {
      const { code, output, errors } = await trainCommand([
        `on-${kind}.yaml`,
        ...["--device", kind, "--threads", "1", "--json"],
      ]);
      expect(code, errors).toBe(0);
      const weights = await readFile(join(folder, "experts", kind, "adapter_model.safetensors"));
      results.push({ loss: Number(JSON.parse(output).expert.loss), weights });
    }
    const [onCpu, onWebgpu] = results;
    if (onCpu === undefined || onWebgpu === undefined) throw new Error("two results");
    expect(Math.abs(onWebgpu.loss / onCpu.loss - 1)).toBeLessThan(1e-3);
    // Equal bits would mean that both ran on the processor.
    expect(onWebgpu.weights).toHaveLength(onCpu.weights.length);
    expect(onWebgpu.weights.equals(onCpu.weights)).toBe(false);
  },
  600_000,
);

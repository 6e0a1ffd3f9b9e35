import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { smallBaseDeltas } from "../../experts/expert-recipe.js";
import { checkStoredExpert } from "../../experts/stored-delta.js";
import { hashBase } from "../../library/base-hash.js";
import { readExpertFolder } from "../../library/node/expert-folder.js";
import { openModelFolder } from "../../models/node/model-folder.js";
import type { Device } from "../../runtime/device.js";
import { openDevice } from "../../runtime/node/open-device.js";
import { openSafetensors } from "../../tensors/node/safetensors-file.js";
import { createByteTokenizer } from "../../tokenizers/byte-tokenizer.js";
import { parseTrainingRecipe } from "../training-recipe.js";
import { type TrainExpertEvent, type TrainExpertResult, trainExpert } from "./train-expert.js";
import { letterRows, linesOf, writeTinyBase } from "./train-expert.test.helpers.js";
import { readTrainingData } from "./training-data.js";

let device: Device;
let folder = "";

beforeAll(async () => {
  device = await openDevice({ threads: 1 });
  folder = await mkdtemp(join(tmpdir(), "cadre-expert-"));
  await writeTinyBase(join(folder, "base"));
  await writeFile(join(folder, "letters.jsonl"), linesOf(letterRows(80)));
});
afterAll(async () => {
  await device.close();
  await rm(folder, { recursive: true, force: true });
});

const short = { ...smallBaseDeltas.lora, steps: 30, warmupSteps: 0, learningRate: 0.02, batch: { rows: 8 } };

function recipeOf(changes: Record<string, unknown> = {}) {
  return parseTrainingRecipe(
    {
      format: "cadre-training",
      task: "letters.jsonl",
      choices: "answers",
      validation: 0.25,
      recipe: "mini",
      overrides: short,
      ...changes,
    },
    "recipe",
  );
}

function trained(
  name: string,
  changes: Record<string, unknown> = {},
  more: { readonly signal?: AbortSignal; readonly onEvent?: (event: TrainExpertEvent) => void } = {},
): Promise<TrainExpertResult> {
  return trainExpert({
    recipe: recipeOf(changes),
    recipeFolder: folder,
    baseFolder: join(folder, "base"),
    baseName: join(folder, "base"),
    device,
    runFolder: join(folder, "runs", name),
    outputFolder: join(folder, "experts", name),
    ...more,
  });
}

async function contentOf(path: string) {
  await using source = await openSafetensors(path);
  const tensors = new Map<string, unknown>();
  for (const name of source.tensors.keys()) {
    tensors.set(name, await source.read(name));
  }
  return tensors;
}

const delta = (kind: string, config: unknown) => ({ overrides: { ...short, delta: { kind, config } } });

test.each([
  ["lora", {}, ["adapter_config.json", "adapter_model.safetensors", "expert.json"]],
  ["ia3", { ...delta("ia3", {}) }, ["adapter_config.json", "adapter_model.safetensors", "expert.json"]],
  ["bottleneck", { ...delta("bottleneck", { reduction: 4 }) }, ["delta.safetensors", "expert.json"]],
  [
    "full",
    { overrides: { ...short, delta: { kind: "full" }, optimizer: "adafactor-transformers" } },
    ["config.json", "expert.json", "model.safetensors", "tokenizer_config.json"],
  ],
])(
  "%s learns the task, better than the base, and lies in its folder",
  async (name, changes, files) => {
    const { base, expert, majority = 1, chance, validationRows, trainRows } = await trained(name, changes);
    expect({ validationRows, trainRows, chance }).toEqual({ validationRows: 20, trainRows: 60, chance: 0.5 });
    expect(expert.loss).toBeLessThan(base.loss);
    if (name === "lora") {
      expect(expert.accuracy).toBeGreaterThan(Math.max(base.accuracy ?? 1, majority));
    }
    expect((await readdir(join(folder, "experts", name))).sort()).toEqual(files);
    const stored = await readExpertFolder(join(folder, "experts", name));
    expect(stored.manifest).toMatchObject({
      format: "cadre-expert",
      task: "letters",
      choices: expect.arrayContaining(["yes", "no"]),
      metric: "accuracy",
      seed: 1,
      metrics: { baseLoss: base.loss, loss: expert.loss, accuracy: expert.accuracy, trainRows },
    });
    await using opened = await openModelFolder(join(folder, "base"));
    expect(stored.manifest.base.hash).toBe(await hashBase(opened));
    expect(checkStoredExpert(stored, { where: name, model: opened.model })?.kind ?? "full").toBe(name);
  },
  60_000,
);

test("the expert is that of the best validation; of equal accuracies the lower loss counts", async () => {
  const scores: number[] = [];
  const { expert } = await trained(
    "best",
    { validationSteps: 5 },
    {
      onEvent: (event) => {
        if (event.type === "validation-end") scores.push(event.score);
      },
    },
  );
  const best = Math.max(...scores);
  expect(scores).toHaveLength(6);
  expect(scores.filter((score) => Math.abs(score - best) < 1e-4).length).toBeGreaterThan(1);
  expect((expert.accuracy ?? 0) - 1e-6 * expert.loss).toBeCloseTo(best, 8);
}, 60_000);

test("a training whose validations stay bad ends early, and is over when it is called again", async () => {
  // At this rate nothing is learned after the first validation.
  const changes = { validationSteps: 2, overrides: { ...short, steps: 40, learningRate: 30, patience: 2 } };
  const steps: number[] = [];
  const onEvent = (event: TrainExpertEvent): void => {
    if (event.type === "step-end") steps.push(event.step);
  };
  const first = await trained("patience", changes, { onEvent });
  expect(first.steps).toBeLessThan(40);
  expect(steps.at(-1)).toBe(first.steps);
  steps.length = 0;
  const again = await trained("patience", changes, { onEvent });
  expect(steps).toEqual([]);
  expect(again).toEqual(first);
}, 60_000);

test("adapters have PEFT's names and configuration", async () => {
  await trained("peft", { overrides: { ...short, steps: 2 } });
  const config: unknown = JSON.parse(await readFile(join(folder, "experts/peft/adapter_config.json"), "utf8"));
  expect(config).toMatchObject({ peft_type: "LORA", r: 16, lora_alpha: 32, task_type: "SEQ_2_SEQ_LM", bias: "none" });
  const names = [...(await contentOf(join(folder, "experts/peft/adapter_model.safetensors"))).keys()];
  expect(names).toContain("base_model.model.encoder.block.0.layer.0.SelfAttention.q.lora_A.weight");
  expect(names).toContain("base_model.model.decoder.block.0.layer.2.DenseReluDense.wo.lora_B.weight");
}, 60_000);

test("a training that was stopped goes on and ends with the same bits; done, it is not trained again", async () => {
  const changes = { checkpointSteps: 4, overrides: { ...short, steps: 14, dropout: 0.1 } };
  await trained("whole", changes);
  const abort = new AbortController();
  const stopped = trained("parts", changes, {
    signal: abort.signal,
    onEvent: (event) => {
      if (event.type === "step-end" && event.step >= 5) abort.abort();
    },
  });
  await expect(stopped).rejects.toMatchObject({ code: "aborted" });
  expect((await readdir(join(folder, "runs/parts/checkpoints"))).length).toBeGreaterThan(0);
  const events: TrainExpertEvent[] = [];
  await trained("parts", changes, { onEvent: (event) => events.push(event) });
  const start = events.find(({ type }) => type === "training-start");
  expect(start).toMatchObject({ type: "training-start", steps: 14 });
  expect(start !== undefined && "step" in start ? start.step : 0).toBeGreaterThanOrEqual(5);
  expect(await contentOf(join(folder, "experts/parts/adapter_model.safetensors"))).toEqual(
    await contentOf(join(folder, "experts/whole/adapter_model.safetensors")),
  );
  const again: string[] = [];
  await trained("parts", changes, { onEvent: ({ type }) => again.push(type) });
  expect(again).not.toContain("step-end");
}, 120_000);

test("another training's expert and other folders are left alone", async () => {
  await trained("taken", { overrides: { ...short, steps: 1 } });
  await expect(trained("taken", { overrides: { ...short, steps: 2 } })).rejects.toMatchObject({
    code: "already-exists",
    message: expect.stringContaining("the expert of another training"),
  });
}, 60_000);

test("without choices the loss is what counts", async () => {
  const { base, expert, majority } = await trained("loss", { choices: undefined });
  expect(base.accuracy).toBeUndefined();
  expect(majority).toBeUndefined();
  expect(expert.loss).toBeLessThan(base.loss / 2);
}, 60_000);

async function read(changes: Record<string, unknown>) {
  return readTrainingData(recipeOf(changes), { recipeFolder: folder, tokenizer: await createByteTokenizer() });
}

test("a generated task needs no file; its validation rows are others", async () => {
  const data = await read({
    task: undefined,
    choices: undefined,
    generated: "numbers/even-or-odd",
    overrides: { maxRows: 40 },
  });
  expect(data).toMatchObject({ hasChoices: true, repeatedRows: 0 });
  expect([data.train.length, data.validation.length]).toEqual([40, 10]);
});

test("a definition stands before the input; rows of the validation file are not trained on", async () => {
  const instances = letterRows(6).map(({ input, target }) => ({ input, output: [target] }));
  await writeFile(join(folder, "letters.json"), JSON.stringify({ Definition: "First?", Instances: instances }));
  await writeFile(join(folder, "few.jsonl"), linesOf(letterRows(2)));
  const data = await read({ task: "letters.json", validation: "few.jsonl" });
  expect([data.train.length, data.validation.length, data.repeatedRows]).toEqual([4, 2, 2]);
  const start = (await createByteTokenizer()).encodeWithoutEnd("First?\n");
  expect(data.train.every(({ input }) => start.every((id, index) => input[index] === id))).toBe(true);
});

test("a table, a list and lines of the same rows give the same data", async () => {
  const rows = letterRows(12);
  await writeFile(join(folder, "same.jsonl"), linesOf(rows));
  await writeFile(join(folder, "same.json"), `\n${JSON.stringify(rows)}`);
  await writeFile(
    join(folder, "same.csv"),
    `text,label\n${rows.map((row) => `${row.input},${row.target}`).join("\n")}`,
  );
  const [lines, list, table] = [
    await read({ task: "same.jsonl" }),
    await read({ task: "same.json" }),
    await read({ task: "same.csv" }),
  ];
  expect(lines).toMatchObject({ name: "same", hasChoices: true });
  expect([lines.train.length, lines.validation.length]).toEqual([9, 3]);
  expect(list).toEqual(lines);
  expect(table).toEqual(lines);
});

test("rows that name their split are divided so, and test rows stay out", async () => {
  const splits = ["train", "validation", "test", "train", "train"];
  const inputsOf = letterRows(5).map(({ input }) => input);
  const rows = letterRows(5).map((row, index) => ({ ...row, split: splits[index] }));
  await writeFile(join(folder, "splits.jsonl"), linesOf(rows));
  const { train, validation } = await read({ task: "splits.jsonl" });
  expect(validation.map(({ example }) => example.input)).toEqual([inputsOf[1]]);
  const tokenizer = await createByteTokenizer();
  const inputs = train.map(({ input }) => tokenizer.decode(input));
  expect(inputs.sort()).toEqual([inputsOf[0], inputsOf[3], inputsOf[4]].sort());
});

test.each<[string, Record<string, unknown>, string]>([
  ["", {}, "bad.jsonl: expected rows, found none"],
  ['{"input": "a", "target": "yes"}\n{"input": "b"}\n', {}, "line 2: expected a field that holds the target"],
  ['{"input": "a", "target": "yes"}\nnot json\n', {}, "line 2: expected a JSON object"],
  ['{"input": "", "target": "yes"}\n', {}, "line 1"],
  [
    linesOf(letterRows(9)),
    { choices: ["yes", "maybe"] },
    'expected an answer among the choices ["yes","maybe"], found "no"',
  ],
  [linesOf(letterRows(9)), { choices: ["yes", "no", "yes"] }, "expected choices that differ"],
  [
    linesOf(letterRows(9)),
    { overrides: { batch: { targetLength: 6 } } },
    "expected choices of at most 6 tokens together, got 7 in 2 choices; raise overrides.batch.targetLength",
  ],
  [linesOf(letterRows(1)), {}, "expected rows to train on and others for validation, got 0 and 1"],
])("%j with %j is refused: %s", async (text, changes, message) => {
  await writeFile(join(folder, "bad.jsonl"), text);
  await expect(read({ task: "bad.jsonl", ...changes })).rejects.toThrow(message);
});

test.each([
  ["none.jsonl", "not-found", "cannot read"],
  ["none.json", "not-found", "cannot read"],
  ["none.txt", "unsupported", "expected a .json file with Definition and Instances, or rows of input and target in"],
])("%s is refused", async (task, code, message) => {
  await expect(read({ task })).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
});

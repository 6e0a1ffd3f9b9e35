import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { openModelFolder } from "../../models/node/model-folder.js";
import type { Device } from "../../runtime/device.js";
import { openDevice } from "../../runtime/node/open-device.js";
import { openTokenizer } from "../../tokenizers/node/open-tokenizer.js";
import { parsePretrainingRecipe } from "../pretraining-recipe.js";
import { type PretrainingEvent, type PretrainOptions, pretrain } from "./pretrain.js";
import { TOKENIZER_FOLDER, tinyRecipe, writeTinyData } from "./pretraining.test.helpers.js";
import { planPretraining } from "./pretraining-plan.js";

let device: Device;
let folder = "";
const events: PretrainingEvent[] = [];

beforeAll(async () => {
  device = await openDevice({ threads: 1 });
});
afterAll(() => device.close());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-pretrain-"));
  events.length = 0;
  await writeTinyData(folder);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function options(
  changes: Readonly<Record<string, unknown>> = {},
  { run = "one", ...more }: Partial<PretrainOptions> & { readonly run?: string } = {},
): PretrainOptions {
  return {
    device,
    recipe: parsePretrainingRecipe(tinyRecipe(changes), "recipe"),
    recipeFolder: folder,
    runFolder: join(folder, "runs", run),
    onEvent: (event) => events.push(event),
    ...more,
  };
}

async function metricsOf(run: string): Promise<Record<string, unknown>[]> {
  const lines = (await readFile(join(folder, "runs", run, "metrics.jsonl"), "utf8")).trimEnd().split("\n");
  return lines
    .map((line) => JSON.parse(line))
    .filter(({ type }) => type === "step-end" || type === "validation-end")
    .map(({ seconds, ...rest }) => rest);
}

function weightsOf(run: string): Promise<Buffer> {
  return readFile(join(folder, "runs", run, "model", "model.safetensors"));
}

test("a run reads, trains, validates and leaves a model that opens, with its tokenizer and what it learnt from", async () => {
  const result = await pretrain(options());
  expect(result).toEqual({ step: 12, finished: true, modelFolder: join(folder, "runs", "one", "model") });
  expect((await readdir(result.modelFolder)).sort()).toEqual([
    "config.json",
    "model.safetensors",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
  ]);
  const tokenizer = await openTokenizer(TOKENIZER_FOLDER);
  expect((await openTokenizer(result.modelFolder)).hash).toBe(tokenizer.hash);
  await using model = await openModelFolder(result.modelFolder);
  const embedding = model.model.parameters.find(({ name }) => name === "shared.weight");
  expect(embedding?.shape).toEqual([tokenizer.vocabularySize, 16]);
  const config = JSON.parse(await readFile(join(result.modelFolder, "config.json"), "utf8"));
  expect(config).toMatchObject({ vocab_size: tokenizer.vocabularySize, d_model: 16 });

  const data = JSON.parse(await readFile(join(folder, "runs", "one", "data.json"), "utf8"));
  expect(data).toMatchObject({ format: "cadre-pretraining-data", formatVersion: 1, instructionInstances: 60 });
  expect(events.find(({ type }) => type === "data-ready")).toEqual(
    Object.fromEntries(Object.entries(data).filter(([key]) => !key.startsWith("format"))),
  );
  const metrics = await metricsOf("one");
  expect(metrics.filter(({ type }) => type === "step-end")).toHaveLength(12);
  expect(metrics.filter(({ type }) => type === "validation-end").map(({ step }) => step)).toEqual([6, 12]);
  // The score is the mean log-probability of a target token: near that of guessing among all pieces at first.
  const [score] = metrics.filter(({ type }) => type === "validation-end").map((line) => Number(line.score));
  expect(score).toBeLessThan(-3);
  expect(score).toBeGreaterThan(-Math.log(tokenizer.vocabularySize) - 2);
});

test("a longer run lowers the loss in training and validation", async () => {
  await pretrain(options({ steps: 150, warmupSteps: 10, decaySteps: 30, validationSteps: 15, checkpointSteps: 150 }));
  const metrics = await metricsOf("one");
  const losses = metrics.filter(({ type }) => type === "step-end").map(({ loss }) => Number(loss));
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  expect(mean(losses.slice(-20))).toBeLessThan(mean(losses.slice(0, 20)) - 0.5);
  const scores = metrics.filter(({ type }) => type === "validation-end").map((line) => Number(line.score));
  expect(scores.at(-1)).toBeGreaterThan(Number(scores[0]) + 0.3);
});

test("a run that stops when its minutes are up goes on to the same curve and the same weights", async () => {
  await pretrain(options({}, { run: "whole" }));
  const stopped = await pretrain(options({}, { run: "parts", minutes: 0.0001 }));
  expect(stopped.finished).toBe(false);
  expect(stopped.step).toBeGreaterThan(0);
  expect(stopped.step).toBeLessThan(12);
  // The model as it is at the stop opens too.
  await using _ = await openModelFolder(stopped.modelFolder);
  expect(await pretrain(options({}, { run: "parts", minutes: 10 }))).toMatchObject({ step: 12, finished: true });
  expect(await metricsOf("parts")).toEqual(await metricsOf("whole"));
  expect((await weightsOf("parts")).equals(await weightsOf("whole"))).toBe(true);
});

test("a finished run that is called again does nothing and leaves the same model", async () => {
  await pretrain(options());
  const before = await weightsOf("one");
  const again = await pretrain(options());
  expect(again).toMatchObject({ step: 12, finished: true });
  expect((await weightsOf("one")).equals(before)).toBe(true);
  expect((await metricsOf("one")).filter(({ type }) => type === "step-end")).toHaveLength(12);
});

test("a run goes on with more steps, but not with other text", async () => {
  const stable = { steps: 8, decaySteps: 0, warmupSteps: 2 };
  await pretrain(options(stable));
  expect(await pretrain(options({ ...stable, steps: 12 }))).toMatchObject({ step: 12, finished: true });
  await pretrain(options({ ...stable, steps: 12 }, { run: "whole" }));
  // Where the shorter one ended it was validated once more.
  const steps = async (run: string) => (await metricsOf(run)).filter(({ type }) => type === "step-end");
  expect(await steps("one")).toEqual(await steps("whole"));
  await writeFile(join(folder, "data/books/one.txt"), "Another text.\nOf two lines.\n");
  await expect(pretrain(options({ ...stable, steps: 16 }))).rejects.toThrow(/differs in data/);
});

test("the caller's signal interrupts with a checkpoint", async () => {
  const interrupted = new AbortController();
  const stopping = options(
    {},
    {
      signal: interrupted.signal,
      onEvent: (event) => {
        if (event.type === "step-end") interrupted.abort();
      },
    },
  );
  await expect(pretrain(stopping)).rejects.toThrow(expect.objectContaining({ code: "aborted" }));
  expect((await readdir(join(folder, "runs/one/checkpoints"))).length).toBeGreaterThan(0);
  expect(await pretrain(options())).toMatchObject({ finished: true });
});

test("a tokenizer that is not there and a model that is none are refused", async () => {
  await expect(pretrain(options({ tokenizer: "nowhere" }))).rejects.toThrow(/nowhere/);
  await expect(pretrain(options({ model: { d_model: "wide" } }))).rejects.toThrow(/d_model/);
});

test("a run may start from another's weights, if these have its tokenizer and shape", async () => {
  await pretrain(options({ steps: 6 }));
  const start = "runs/one/model";
  const still = { start, steps: 1, warmupSteps: 0, decaySteps: 0, learningRate: 1e-9 };
  await pretrain(options(still, { run: "two" }));
  expect((await weightsOf("two")).equals(await weightsOf("one"))).toBe(true);

  const wider = { ...(tinyRecipe().model as object), d_ff: 64 };
  await expect(pretrain(options({ ...still, model: wider }, { run: "three" }))).rejects.toMatchObject({
    code: "mismatch",
  });
  const tokenizer = JSON.parse(await readFile(join(folder, start, "tokenizer.json"), "utf8"));
  tokenizer.model.merges.pop();
  await writeFile(join(folder, start, "tokenizer.json"), JSON.stringify(tokenizer));
  await expect(pretrain(options(still, { run: "four" }))).rejects.toMatchObject({
    code: "mismatch",
    message: expect.stringMatching(/^start: .* another one; name that folder as tokenizer, too$/),
  });
});

test("a plan counts as the training does, and leaves nothing in the run's folder", async () => {
  const plan = await planPretraining(options());
  expect(events.filter(({ type }) => type === "data-ready")).toEqual([plan.data]);
  expect(await readdir(join(folder, "runs"))).toEqual(["encoded-text"]);
  await pretrain(options());
  const start = events.find((event) => event.type === "training-start");
  expect(start).toMatchObject({ parameters: plan.parameters, flopsPerStep: plan.flopsPerStep, steps: 12 });
  expect(plan.data).toEqual(events.find(({ type }) => type === "data-ready"));
  expect(plan.flops).toBe(12 * plan.flopsPerStep);
  expect(plan.inputTokens).toBe(12 * 4 * 96);
  const seen = (await metricsOf("one")).reduce((sum, { inputTokens = 0 }) => sum + Number(inputTokens), 0);
  expect(seen).toBeGreaterThan(0.5 * plan.inputTokens);
  expect(seen).toBeLessThanOrEqual(plan.inputTokens);
  expect(plan.seconds * plan.gemmPeak * 1e9).toBeCloseTo(plan.flops / 0.55, -3);
}, 180_000);

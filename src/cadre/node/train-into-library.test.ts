import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createRandom } from "../../core/random.js";
import { type ExpertRecipe, expertRecipeSchema, withOverrides } from "../../experts/expert-recipe.js";
import { openLibrary } from "../../library/node/library.js";
import type { Device } from "../../runtime/device.js";
import { openDevice } from "../../runtime/node/open-device.js";
import { createUserTaskBuilder } from "../../tasks/build-user-task.js";
import type { UserTask } from "../../tasks/user-task.js";
import type { TrainIntoLibraryEvent } from "../library-events.js";
import { planLibrary } from "./library-plan.js";
import { writeTinyBase } from "./train-expert.test.helpers.js";
import { type TrainIntoLibraryOptions, type TrainIntoLibraryResult, trainIntoLibrary } from "./train-into-library.js";

let device: Device;
let folder = "";

beforeAll(async () => {
  device = await openDevice({ threads: 1 });
  folder = await mkdtemp(join(tmpdir(), "cadre-into-library-"));
  await writeTinyBase(join(folder, "base"));
});
afterAll(async () => {
  await device.close();
  await rm(folder, { recursive: true, force: true });
});

const letters: readonly [string, string] = ["A", "B"];
const digits: readonly [string, string] = ["1 ", "2 "];

/** Which of two beginnings a text has. Of ten rows one is for validation and one for testing. */
function taskOf(
  name: string,
  beginnings: readonly [string, string],
  { rows = 40, templates = [] }: { readonly rows?: number; readonly templates?: readonly { input: string }[] } = {},
): UserTask {
  const builder = createUserTaskBuilder(name, {
    seed: 1,
    templates: templates.map(({ input }, index) => ({ name: `form ${index + 1}`, text: input })),
  });
  const random = createRandom(rows);
  for (let index = 0; index < rows; index++) {
    const which = random.nextInteger(2);
    const row = {
      input: `${beginnings[which === 0 ? 0 : 1]}${name} ${index}`,
      target: which === 0 ? "yes" : "no",
      split: ["validation", "test"][index % 10] ?? "train",
    };
    builder.addRow(row, { file: `${name}.jsonl`, line: index + 1 });
  }
  return builder.finish([`${name}.jsonl`]);
}

function oneAnswerTask(name: string): UserTask {
  const builder = createUserTaskBuilder(name, { seed: 1 });
  for (let index = 0; index < 30; index++) {
    builder.addRow({ input: `text ${index}`, target: "yes" }, { file: `${name}.csv`, line: index + 2 });
  }
  return builder.finish([`${name}.csv`]);
}

function recipeOf(changes: Record<string, unknown> = {}): ExpertRecipe {
  const short = { steps: 6, warmupSteps: 0, learningRate: 0.02, batch: { rows: 8 } };
  return expertRecipeSchema.parse(withOverrides("mini", { ...short, ...changes }));
}

async function trained(
  name: string,
  changes: Partial<TrainIntoLibraryOptions> = {},
): Promise<TrainIntoLibraryResult & { readonly events: readonly TrainIntoLibraryEvent[] }> {
  const events: TrainIntoLibraryEvent[] = [];
  const { onEvent, ...rest } = changes;
  const result = await trainIntoLibrary({
    tasks: [taskOf("letters", letters), taskOf("digits", digits)],
    base: { name: "tiny", folder: join(folder, "base") },
    recipe: recipeOf(),
    library: join(folder, name, "library"),
    runFolder: join(folder, name, "runs"),
    mode: "experts",
    per: "task",
    replace: false,
    keyTexts: "none",
    device,
    onEvent: (event) => {
      events.push(event);
      onEvent?.(event);
    },
    ...rest,
  });
  return { ...result, events };
}

const typesOf = (events: readonly TrainIntoLibraryEvent[]): string[] =>
  events.map(({ type }) => type).filter((type) => type.startsWith("task-") || type === "multitask-skipped");

test("two tasks and the multitask models: experts with keys, a routing, equal compute", async () => {
  const one = await trained("both", { mode: "both", keyTexts: "stored" });
  expect(one.failed).toEqual([]);
  expect(one.experts).toMatchObject([
    { task: "letters", steps: 6 },
    { task: "digits", steps: 6 },
  ]);
  expect(one.multitask).toMatchObject({ id: expect.stringMatching(/^multitask-/), steps: 12 });
  expect(one.multitaskOneBudget).toMatchObject({ id: "multitaskOneBudget", steps: 6 });
  const perStep = (one.multitask?.trainingFlops ?? 0) / 12;
  expect(one.multitaskOneBudget?.trainingFlops).toBeCloseTo(6 * perStep, -2);
  expect(typesOf(one.events)).toEqual([
    "task-start",
    "task-end",
    "task-start",
    "task-end",
    ...["task-start", "task-end", "task-start", "task-end"],
  ]);
  const numbers = one.events.flatMap((event) => (event.type === "task-end" ? [[event.index, event.of]] : []));
  expect(numbers).toEqual([
    [1, 4],
    [2, 4],
    [3, 4],
    [4, 4],
  ]);
  const steps = one.events.flatMap((event) =>
    event.type === "step-end" && event.task === "digits" ? [event.step] : [],
  );
  expect(steps).toEqual([1, 2, 3, 4, 5, 6]);

  const library = await openLibrary(join(folder, "both", "library"));
  const entries = await library.list();
  expect(entries.map(({ manifest }) => manifest.name).sort()).toEqual(["digits", "letters", "multitask"]);
  const expert = await library.read("letters");
  expect(expert.manifest).toMatchObject({
    role: "expert",
    choices: ["no", "yes"],
    metric: "accuracy",
    seed: 1,
    base: { id: "tiny" },
    keys: { count: 32, text: "stored", encoder: { format: "instance", width: 32 } },
    metrics: { steps: 6, trainRows: 32, validationRows: 4, trainingFlops: one.experts[0]?.trainingFlops },
    origin: { kind: "trained", recipe: { learningRate: 0.02, dataHash: expect.any(String) } },
  });
  const inputs = taskOf("letters", letters).splits.train.map(({ input }) => input);
  expect(expert.keys?.texts).toEqual(inputs);
  expect(expert.tensors).toEqual(await one.experts[0]?.readTensors());
  expect((await library.read("multitask")).manifest).toMatchObject({
    role: "multitask",
    origin: { recipe: { tasks: ["letters", "digits"], steps: 12 } },
    metrics: { trainRows: 64, validationRows: 8 },
  });
  expect((await library.read("multitask")).keys).toBeUndefined();
  const chosen = one.events.find((event) => event.type === "routing-chosen");
  expect(chosen).toBeDefined();
  expect(await library.routing()).toEqual({ adjustment: chosen?.type === "routing-chosen" ? chosen.adjustment : "" });

  // All is there: nothing is trained, and the same comes back.
  const again = await trained("both", { mode: "both", keyTexts: "stored" });
  expect(typesOf(again.events)).toEqual(["task-kept", "task-kept", "task-kept", "task-kept"]);
  expect(again.events.some(({ type }) => type === "step-end")).toBe(false);
  // Without functions; equal tensors have equal hashes.
  const told = (result: object) => JSON.stringify({ ...result, events: 0 });
  expect(told(again)).toBe(told(one));
  const left = await readdir(join(folder, "both", "runs"), { recursive: true });
  expect(left.filter((path) => path.includes("checkpoints"))).toEqual([]);
  expect(left.filter((path) => path.endsWith("metrics.jsonl"))).toHaveLength(4);
}, 240_000);

test("a run that was stopped goes on, and ends with the bits of one that was not", async () => {
  const recipe = recipeOf({ steps: 10, dropout: 0.1 });
  const whole = await trained("whole", { recipe, mode: "both" });
  const abort = new AbortController();
  const stopped = trained("parts", {
    recipe,
    mode: "both",
    signal: abort.signal,
    onEvent: (event) => {
      if (event.type === "step-end" && event.task === "digits" && event.step >= 5) abort.abort();
    },
  });
  await expect(stopped).rejects.toMatchObject({ code: "aborted" });
  const library = await openLibrary(join(folder, "parts", "library"));
  expect((await library.list()).map(({ manifest }) => manifest.name)).toEqual(["letters"]);
  const rest = await trained("parts", { recipe, mode: "both" });
  expect(typesOf(rest.events).slice(0, 3)).toEqual(["task-kept", "task-start", "task-end"]);
  const start = rest.events.find((event) => event.type === "training-start");
  expect(start?.type === "training-start" ? start.step : 0).toBeGreaterThanOrEqual(4);
  for (const model of ["multitask", "multitaskOneBudget"] as const) {
    expect(rest[model]?.sha256).toBe(whole[model]?.sha256);
    expect(rest[model]?.sha256).toMatch(/^[0-9a-f]{64}$/);
  }
  // Without functions; equal tensors have equal hashes.
  expect(JSON.stringify(rest.experts)).toBe(JSON.stringify(whole.experts));
}, 240_000);

test("tasks that cannot be trained are reported beside those that can", async () => {
  const tasks = [
    oneAnswerTask("same"),
    taskOf("letters", letters),
    taskOf("few", letters, { rows: 2 }),
    taskOf("multitask", digits),
  ];
  const { experts, failed, multitask, events } = await trained("failing", { tasks, mode: "both" });
  expect(experts.map(({ task }) => task)).toEqual(["letters"]);
  expect(failed).toEqual([
    {
      task: "same",
      reason: expect.stringMatching(/same: expected training rows with different answers, found "yes" in all \d\d/),
    },
    {
      task: "few",
      reason: expect.stringMatching(/few: expected rows to train on and others for validation, got 0 and 1/),
    },
    { task: "multitask", reason: expect.stringContaining("that of the multitask model; rename the task") },
  ]);
  expect(multitask).toBeUndefined();
  expect(typesOf(events)).toEqual([
    "task-failed",
    "task-failed",
    "task-failed",
    "task-start",
    "task-end",
    "multitask-skipped",
  ]);
}, 120_000);

test("an expert that diverges fails alone", async () => {
  const result = await trained("diverging", { recipe: recipeOf({ learningRate: 1e30, clipNorm: 1e30 }) });
  expect(result.experts).toEqual([]);
  expect(result.failed).toMatchObject([
    { task: "letters", reason: expect.stringContaining("expected finite numbers") },
    { task: "digits" },
  ]);
}, 120_000);

test("other data under the same name: refused in words, or replaced if so asked", async () => {
  const tasks = [taskOf("letters", letters)];
  const other = [taskOf("letters", letters, { rows: 50 })];
  const first = await trained("other", { tasks });
  const refused = await trained("other", { tasks: other });
  expect(refused.experts).toEqual([]);
  expect(refused.failed).toEqual([
    { task: "letters", reason: expect.stringContaining("found one of other data, another recipe or another seed") },
  ]);
  const replaced = await trained("other", { tasks: other, replace: true });
  expect(replaced.failed).toEqual([]);
  expect(replaced.experts[0]?.id).toBe(first.experts[0]?.id);
  expect(replaced.experts[0]?.sha256).not.toBe(first.experts[0]?.sha256);
  const library = await openLibrary(join(folder, "other", "library"));
  expect((await library.list()).map(({ manifest }) => manifest.metrics.trainRows)).toEqual([40]);
  expect(await library.routing()).toBeUndefined();
}, 120_000);

test("one expert for each template, and all weights trained", async () => {
  const tasks = [
    taskOf("letters", letters, { templates: [{ input: "{{ input }}" }, { input: "First? {{ input }}" }] }),
  ];
  const { experts, multitask } = await trained("templates", {
    tasks,
    per: "template",
    mode: "both",
    recipe: recipeOf({ steps: 2, delta: { kind: "full" }, optimizer: "adafactor-transformers" }),
  });
  expect(experts).toMatchObject([
    { task: "letters", template: "form 1", delta: undefined, steps: 2 },
    { task: "letters", template: "form 2", delta: undefined, steps: 2 },
  ]);
  expect(multitask?.steps).toBe(4);
  const library = await openLibrary(join(folder, "templates", "library"));
  const expert = await library.read("letters / form 2");
  expect(expert.manifest).toMatchObject({ template: "form 2", delta: { kind: "full" }, keys: { text: "none" } });
  expect([...expert.tensors.keys()]).toContain("shared.weight");
  const tensors = await Promise.all(experts.map(({ readTensors }) => readTensors()));
  expect(tensors[0]?.get("shared.weight")).not.toEqual(tensors[1]?.get("shared.weight"));
}, 120_000);

test("only a multitask model, with the steps that the experts would have", async () => {
  const { experts, multitask, multitaskOneBudget } = await trained("multi", { mode: "multitask" });
  expect(experts).toEqual([]);
  expect([multitask?.steps, multitaskOneBudget?.steps]).toEqual([12, 6]);
}, 120_000);

test("a library of another base is refused before anything is trained", async () => {
  await trained("based", { tasks: [taskOf("letters", letters)], recipe: recipeOf({ steps: 1 }) });
  await writeTinyBase(join(folder, "other-base"), 2);
  const wrong = trained("based", { base: { name: "another", folder: join(folder, "other-base") } });
  await expect(wrong).rejects.toMatchObject({
    code: "mismatch",
    message: expect.stringContaining("expected the base"),
  });
  expect((await readdir(join(folder, "based", "runs"))).length).toBe(1);
}, 120_000);

test("a plan names every training and adds them up", async () => {
  const plan = await planLibrary({
    tasks: [taskOf("letters", letters), taskOf("digits", digits), oneAnswerTask("same")],
    base: { folder: join(folder, "base") },
    recipe: recipeOf(),
    mode: "both",
    per: "task",
    device,
  });
  expect(plan.experts).toMatchObject([
    { task: "letters", trainRows: 32, validationRows: 4, steps: 6 },
    { task: "digits", trainRows: 32, validationRows: 4, steps: 6 },
  ]);
  expect(plan.multitask).toMatchObject({ trainRows: 64, steps: 12 });
  expect(plan.multitaskOneBudget).toMatchObject({ trainRows: 64, steps: 6 });
  expect(plan.failed).toMatchObject([{ task: "same" }]);
  const all = [...plan.experts, plan.multitask, plan.multitaskOneBudget];
  expect(plan.totals.steps).toBe(30);
  expect(plan.totals.flops).toBe(all.reduce((sum, training) => sum + (training?.flops ?? 0), 0));
  expect(plan.totals.peakBytes).toBeGreaterThanOrEqual(plan.multitask?.memory.totalBytes ?? 0);
  expect(plan.experts[0]?.flops).toBe(6 * (plan.experts[0]?.flopsPerStep ?? 0));
}, 120_000);

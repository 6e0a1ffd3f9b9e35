import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { at } from "../../src/core/at.js";
import { createRandom, hashText } from "../../src/core/random.js";
import { compare, type SuiteComparison } from "../../src/evaluation/comparison.js";
import { fakeHash, fakeTask } from "../../src/evaluation/comparison.test.helpers.js";
import {
  type EvaluateSystemsOptions,
  type EvaluationEvent,
  evaluateSystems,
} from "../../src/evaluation/evaluate-systems.js";
import { openResultsStore } from "../../src/evaluation/node/results-store.js";
import { parseResults } from "../../src/evaluation/results-schema.js";
import type { EvaluationTask } from "../../src/evaluation/results-task.js";
import { createBm25Router } from "../../src/routing/bm25-router.js";
import type { Router } from "../../src/routing/router.js";
import type { RoutingText } from "../../src/routing/text-format.js";
import { createByteTokenizer } from "../../src/tokenizers/byte-tokenizer.js";
import { tinyModel } from "../training/tiny-training.js";
import {
  answerKey,
  type FakeAnswers,
  type FakeSystem,
  fakeExpert,
  fakeFactory,
  memoryStore,
  noDevice,
  withTensors,
} from "./fake-answerers.js";

const tokenizer = await createByteTokenizer();
const model = tinyModel();
const weights = new Map();
const settings = { normalization: "none" };
const OPTIONS = { resamples: 200 };

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-evaluation-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

type Given = Pick<EvaluateSystemsOptions, "tasks"> &
  Partial<Omit<EvaluateSystemsOptions, "experts">> & { readonly experts: readonly FakeSystem[] } & Pick<
    FakeAnswers,
    "score" | "write"
  >;

/** Evaluates with fakes, and a store of its own unless one is given. */
function evaluate({ score, write, ...given }: Given) {
  const factory = fakeFactory({
    weights,
    tokenizer,
    systems: new Map([
      ...given.experts.map(({ id, tensors }) => [tensors, `expert:${id}`] as const),
      [trained.multitask.tensors, "multitask"],
      [trained.multitaskOneBudget.tensors, "multitaskOneBudget"],
    ]),
    ...(score === undefined ? {} : { score }),
    ...(write === undefined ? {} : { write }),
  });
  const events: EvaluationEvent[] = [];
  const work = () =>
    evaluateSystems({
      ...{ device: noDevice, model, weights, tokenizer, baseSha256: fakeHash("a"), trainingSeed: 1, settings },
      ...{ store: memoryStore(), factory },
      onEvent: (event) => events.push(event),
      ...given,
    });
  return { work, calls: factory.calls, events };
}

function resultsOf(given: Given) {
  return evaluate(given).work();
}

function meanOf(suite: SuiteComparison | undefined, name: string): number {
  return suite?.figures.find((figure) => figure.name === name)?.mean.mean ?? Number.NaN;
}

const tasks = [
  fakeTask("one", { suite: "seen", instances: 60, templates: 2 }),
  fakeTask("two", { suite: "seen", instances: 80, choices: ["red", "green", "blue"] }),
  fakeTask("three", { suite: "unseen", instances: 90 }),
  fakeTask("four", { suite: "unseen", instances: 70, choices: ["a", "b", "c", "d"] }),
];
const experts = [fakeExpert("e1", "one"), fakeExpert("e2", "two"), fakeExpert("e3", "elsewhere")];
const trained = { multitask: fakeExpert("multitask", "all"), multitaskOneBudget: fakeExpert("budget", "all") };
const router = createBm25Router({
  experts: experts.map(({ id, task }) => ({
    id,
    texts: [1, 2, 3].map((number) => ({ input: `${task} ${number} in words` })),
  })),
});

test("a scorer that knows the answers has 100 everywhere", async () => {
  const isRight = answerKey(tasks);
  const results = await resultsOf({
    ...{ tasks, experts, ...trained, router },
    score: ({ input, choices }) => choices.map((choice) => (isRight(input, choice) ? -1 : -2)),
  });
  expect(parseResults(JSON.parse(JSON.stringify(results)), "results")).toEqual(results);
  const { seen, unseen } = compare([results], OPTIONS);
  for (const name of ["base", "multitask", "multitaskOneBudget", "expert", "auto"]) {
    expect(meanOf(seen, name), name).toBe(100);
  }
  for (const name of ["retrieved", "mergedTop3", "bestSingle", "oracle", "random"]) {
    expect(meanOf(unseen, name), name).toBe(100);
  }
  expect(meanOf(seen, "routingAccuracy")).toBe(100);
  expect(results.cells).toHaveLength(6 * 4 + 2);
});

test("a scorer that guesses has chance ± 3 standard errors, on every task and in the mean", async () => {
  const results = await resultsOf({
    ...{ tasks, experts, ...trained, router },
    score: ({ system, input, choices }) => {
      const random = createRandom(5, hashText(`${system} ${input}`));
      return choices.map(() => -random.nextFloat());
    },
  });
  for (const { system, task, scores } of results.cells) {
    const chance = 1 / (tasks.find(({ name }) => name === task)?.choices?.length ?? 0);
    const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
    expect(Math.abs(mean - chance), `${system} on ${task}`).toBeLessThan(
      3 * Math.sqrt((chance * (1 - chance)) / scores.length),
    );
  }
});

/** Texts of four families, recognised by a word. */
function familyText(family: number, name: string, index: number): string {
  const random = createRandom(9, hashText(`${name} ${index}`));
  return [
    `family${family}`,
    ...Array.from({ length: 4 }, () => `word${random.nextInteger(40)}`),
    `${name}-${index}`,
  ].join(" ");
}

function familyTask(name: string, family: number, suite: "seen" | "unseen"): EvaluationTask {
  const task = fakeTask(name, { suite, instances: 40 });
  return { ...task, rows: task.rows.map((row, index) => ({ ...row, input: familyText(family, name, index) })) };
}

test("with the right keys, retrieval finds the right expert; with shuffled keys, it is as good as a random one", async () => {
  const families = [0, 1, 2, 3];
  const familyTasks = [
    ...families.map((family) => familyTask(`seen${family}`, family, "seen")),
    ...Array.from({ length: 24 }, (_, index) => familyTask(`unseen${index}`, index % 4, "unseen")),
  ];
  const isRight = answerKey(familyTasks);
  const own = families.map((family) => fakeExpert(`e${family}`, `seen${family}`));
  const score: Given["score"] = ({ system, input, choices }) => {
    const knows = input.startsWith(`family${system.at(-1)} `) ? 0.9 : 0.3;
    const right = createRandom(3, hashText(`${system} ${input}`)).nextFloat() < knows;
    return choices.map((choice) => (isRight(input, choice) === right ? -1 : -2));
  };
  const keys = families.flatMap((family) =>
    Array.from({ length: 60 }, (_, index): RoutingText => ({ input: familyText(family, "key", index) })),
  );
  const routerOf = (texts: readonly RoutingText[]): Router =>
    createBm25Router({
      format: "instance_new",
      experts: own.map(({ id }, index) => ({ id, texts: texts.slice(index * 60, (index + 1) * 60) })),
    });
  const given = { tasks: familyTasks, experts: own, score };
  const right = compare([await resultsOf({ ...given, router: routerOf(keys) })], OPTIONS);
  expect(meanOf(right.seen, "routingAccuracy")).toBe(100);
  expect(meanOf(right.seen, "auto")).toBe(meanOf(right.seen, "expert"));
  expect(meanOf(right.unseen, "retrieved")).toBeGreaterThan(meanOf(right.unseen, "random") + 30);
  const shuffled = routerOf(createRandom(1).shuffle([...keys]));
  const wrong = compare([await resultsOf({ ...given, router: shuffled })], OPTIONS);
  // One expert for each of 24 tasks, 0.9 with probability 1/4, else 0.3.
  const taskError = (100 * 0.6 * Math.sqrt(3 / 16)) / Math.sqrt(24);
  expect(Math.abs(meanOf(wrong.unseen, "retrieved") - meanOf(wrong.unseen, "random"))).toBeLessThan(3 * taskError);
  expect(meanOf(wrong.unseen, "random")).toBeCloseTo(meanOf(right.unseen, "random"), 10);
  expect(Math.abs(meanOf(wrong.seen, "routingAccuracy") - 25)).toBeLessThan((300 * Math.sqrt(3 / 16)) / Math.sqrt(160));
});

test("shuffled evaluation labels leave every route, and all that models see, byte-identical", async () => {
  const isRight = answerKey(tasks);
  const score: Given["score"] = ({ input, choices }) => choices.map((choice) => (isRight(input, choice) ? -1 : -2));
  const shuffled = tasks.map((task) => {
    const targets = createRandom(2, hashText(task.name)).shuffle(task.rows.map((row) => row.targets));
    return { ...task, rows: task.rows.map((row, index) => ({ ...row, targets: at(targets, index) })) };
  });
  const first = evaluate({ tasks, experts, ...trained, router, score });
  const second = evaluate({ tasks: shuffled, experts, ...trained, router, score });
  const [plain, other] = [await first.work(), await second.work()];
  expect(JSON.stringify(other.routes)).toBe(JSON.stringify(plain.routes));
  expect(second.calls).toEqual(first.calls);
  const answers = ({ cells }: typeof plain) => cells.map(({ system, predictions }) => [system, predictions]);
  expect(answers(other)).toEqual(answers(plain));
  expect(other.cells.map(({ scores }) => scores)).not.toEqual(plain.cells.map(({ scores }) => scores));
});

test("an evaluation that was killed answers what is missing, and no more", async () => {
  const score: Given["score"] = ({ choices }) => choices.map((_, index) => -index);
  let left = 7;
  const openStore = () => openResultsStore(join(folder, "store"), { base: fakeHash("a"), settings });
  const given = { tasks, experts, ...trained, router, store: await openStore() };
  const killed = evaluate({
    ...given,
    score: (question) => {
      if (question.input.endsWith(" 0 in words 0") && left-- === 0) {
        throw new Error("killed");
      }
      return score(question);
    },
  });
  await expect(killed.work()).rejects.toThrow("killed");
  expect(await readdir(join(folder, "store", "cells"))).toHaveLength(7);
  const resumed = evaluate({ ...given, store: await openStore(), score });
  const results = await resumed.work();
  expect(resumed.calls).toHaveLength(26 - 7);
  const keys = (calls: typeof resumed.calls) => calls.map(({ system, inputs }) => `${system}: ${inputs[0]}`);
  expect(new Set([...keys(killed.calls).slice(0, 7), ...keys(resumed.calls)]).size).toBe(26);
  expect(resumed.events.find(({ type }) => type === "cell-start")).toMatchObject({
    // The base on every task, then multitask models and the first expert on the first one.
    done: 120 + 80 + 90 + 70 + 3 * 120,
    total: 6 * (120 + 80 + 90 + 70) + 90 + 70,
  });
  expect(resumed.events.at(-1)).toMatchObject({ type: "cell-end", system: "mergedTop3", score: expect.any(Number) });
  const last = resumed.events.at(-1);
  expect(last?.type === "cell-end" && last.done === last.total).toBe(true);
  const again = evaluate({ ...given, score });
  expect({ ...(await again.work()), createdAt: "" }).toEqual({ ...results, createdAt: "" });
  expect(again.calls).toEqual([]);
  const whole = await resultsOf({ ...given, store: memoryStore(), score });
  const timeless = ({ cells, ...rest }: typeof whole) => ({
    ...rest,
    createdAt: "",
    cells: cells.map((cell) => ({ ...cell, seconds: 0 })),
  });
  expect(timeless(results)).toEqual(timeless(whole));
});

test("only an expert of other content is answered again", async () => {
  const score: Given["score"] = ({ choices }) => choices.map((_, index) => -index);
  const store = memoryStore();
  await resultsOf({ tasks, experts, score, store });
  const changed = experts.map((expert) => (expert.id === "e2" ? { ...expert, sha256: fakeHash("c") } : expert));
  const again = evaluate({ tasks, experts: changed, score, store });
  await again.work();
  expect(again.calls.map(({ system }) => system)).toEqual(tasks.map(() => "expert:e2"));
});

test("experts of every kind answer, and those with all weights; what cannot be merged is left out with the reason", async () => {
  const mixed = [
    withTensors({ ...fakeExpert("full", "one"), delta: undefined }, new Map()),
    fakeExpert("lora", "two"),
    fakeExpert("vectors", "elsewhere", { kind: "ia3", config: {} }),
  ];
  const all = createBm25Router({
    experts: mixed.map(({ id }) => ({ id, texts: [{ input: "three four in words" }] })),
    vote: { neighbours: 3, experts: 1 },
  });
  const run = evaluate({
    ...{ tasks: tasks.slice(2), experts: mixed, router: all },
    score: ({ choices }) => choices.map((_, index) => -index),
  });
  const results = await run.work();
  expect([...new Set(run.calls.map(({ system }) => system))].sort()).toEqual([
    "base",
    "expert:lora",
    "expert:vectors",
    "full",
  ]);
  expect(run.events.filter(({ type }) => type === "system-left-out")).toEqual([
    {
      type: "system-left-out",
      system: "mergedTop3",
      reason: expect.stringMatching(/^task "three": merge: expected experts of one kind, got .*\(full\)/),
    },
  ]);
  expect(results.systems.map(({ name }) => name)).toEqual(["base"]);
  expect(compare([results], OPTIONS).unseen?.figures.map(({ name }) => name)).toContain("retrieved");
});

test("written answers are judged by the task's metric; cut inputs are counted", async () => {
  const rows = ["the cat", "a dog", "no"].map((target, index) => ({
    ...{ instance: `${index}`, template: "input", input: `${"long ".repeat(index * 3)}question ${index}` },
    targets: [target],
  }));
  const written = ["exact match", "token F1", "ROUGE-L"].map(
    (metric): EvaluationTask => ({ name: metric, suite: "seen", metric, rows }),
  );
  const results = await resultsOf({
    ...{ tasks: written, experts: [], inputLength: 30 },
    write: ({ input }) => (input.includes("question 0") ? "Cat!" : "big dog"),
  });
  expect(results.cells.map(({ scores }) => scores.map((score) => Math.round(100 * score)))).toEqual([
    [100, 0, 0],
    [100, 67, 0],
    [67, 50, 0],
  ]);
  const [cell] = results.cells;
  expect(cell).toMatchObject({ predictions: ["Cat!", "big dog", "big dog"], truncatedInputs: 1 });
});

test("flops are those of the rows' own tokens, each row by itself", async () => {
  const task = fakeTask("a", { suite: "seen", instances: 3, choices: ["no", "maybe"] });
  const { cells } = await resultsOf({
    ...{ tasks: [task], experts: [], inputLength: 6 },
    score: ({ choices }) => choices.map((_, index) => -index),
  });
  // Bytes and an end token each; every input is longer than 6.
  const shape = { rows: 1, inputLength: 6, targetLength: 3 + 6, sequences: 2 };
  const { weightMultiplyAdds, activationMultiplyAdds } = model.forwardCost(shape);
  expect(cells[0]).toMatchObject({ flops: 3 * 2 * (weightMultiplyAdds + activationMultiplyAdds), truncatedInputs: 3 });
});

test("equal choices are one answer, and counted", async () => {
  const task: EvaluationTask = {
    ...fakeTask("a", { suite: "seen", instances: 2, choices: ["yes", "no", "yes", " "] }),
  };
  const results = await resultsOf({
    ...{ tasks: [task], experts: [] },
    score: ({ choices }) => {
      expect(choices).toEqual(["yes", "no", " "]);
      return [-1, -1, -2];
    },
  });
  expect(results.tasks[0]).toMatchObject({ choiceCounts: { identical: 2, indistinguishable: 0, empty: 2 } });
  expect(results.cells[0]).toMatchObject({ predictions: ["yes", "yes"], scores: [1, 0] });
});

test.each<[string, Partial<Given>, RegExp]>([
  ["no tasks", { tasks: [] }, /different names, got none/],
  ["a task twice", { tasks: [...tasks, at(tasks, 0)] }, /different names, got "one" twice/],
  ["an expert twice", { experts: [...experts, at(experts, 1)] }, /different ids, got "e2" twice/],
  ["a seen task whose expert failed", { experts: experts.slice(1) }, /an expert of the seen task "one"/],
  ["a metric", { tasks: [{ ...at(tasks, 2), metric: "bleu" }] }, /task "three": .*ROUGE-L, got "bleu"/],
  [
    "no choices",
    { tasks: [{ ...at(tasks, 2), choices: [] }] },
    /task "three", row 0: expected choices, as its metric is accuracy/,
  ],
  [
    "a router of weighted experts",
    {
      router: createBm25Router({
        experts: experts.map(({ id }) => ({ id, texts: [{ input: "in words" }] })),
        vote: { neighbours: 3, experts: 2 },
      }),
    },
    /task "one": expected a router that picks one expert with weight 1, got e1 × 0.5, e2 × 0.5/,
  ],
  [
    "a router of other experts",
    { router: createBm25Router({ experts: [{ id: "other", texts: [{ input: "in words" }] }] }) },
    /candidates are the experts of the evaluation, got "other"/,
  ],
])("%s: refused before anything is answered", async (_, changed, message) => {
  const run = evaluate({ tasks, experts, score: () => [], ...changed });
  await expect(run.work()).rejects.toThrow(expect.objectContaining({ code: "invalid-argument" }));
  await expect(run.work()).rejects.toThrow(message);
  expect(run.calls).toEqual([]);
});

test("an unseen task votes once for each template; merges take the votes of all", async () => {
  const base = fakeTask("three", { suite: "unseen", instances: 20, templates: 2 });
  const [first] = base.rows;
  const words = { e1: "apples pears plums", e2: "wind waves rain", e3: "bread butter cheese" };
  const unseen = {
    ...base,
    rows: base.rows.map((row, index) => ({
      ...row,
      input: `${row.template === first?.template ? words.e1 : words.e2} ${index}`,
    })),
  };
  const own = Object.keys(words).map((id) => fakeExpert(id, `task of ${id}`));
  const results = await resultsOf({
    ...{ tasks: [unseen], experts: own },
    router: createBm25Router({ experts: Object.entries(words).map(([id, input]) => ({ id, texts: [{ input }] })) }),
    score: ({ choices }) => choices.map(() => -1),
  });
  expect(at(results.routes, 0).rows).toEqual(
    unseen.rows.map(({ template }) => [{ id: template === first?.template ? "e1" : "e2", weight: 1 }]),
  );
  expect(results.systems.map(({ name }) => name)).toContain("mergedTop3");
});

test("an evaluation stops between cells", async () => {
  const stop = new AbortController();
  const run = evaluate({
    ...{ tasks, experts, signal: stop.signal },
    score: ({ choices }) => choices.map(() => 0),
    onEvent: ({ type }) => {
      if (type === "cell-end") stop.abort();
    },
  });
  await expect(run.work()).rejects.toThrow(expect.objectContaining({ code: "aborted" }));
  expect(run.calls).toHaveLength(1);
});

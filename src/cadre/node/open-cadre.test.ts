import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Worker } from "node:worker_threads";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { at } from "../../core/at.js";
import { bestChoice } from "../../evaluation/rank-classification.js";
import { createChoiceScorer } from "../../evaluation/score-choices.js";
import { createDelta } from "../../experts/delta-config.js";
import { mixExperts } from "../../experts/mixed.js";
import { parseStoredDelta } from "../../experts/stored-delta.js";
import { expertId } from "../../library/expert-name.js";
import { exportExpert } from "../../library/node/export-expert.js";
import { type Library, openLibrary } from "../../library/node/library.js";
import { openModelFolder, saveModelFolder } from "../../models/node/model-folder.js";
import { openDevice } from "../../runtime/node/open-device.js";
import { openTokenizer } from "../../tokenizers/node/open-tokenizer.js";
import type { Cadre } from "../cadre.js";
import type { LoadedExpert } from "../expert-stack.js";
import { openKeyMaker } from "./expert-key-maker.js";
import { openLibraryRouter } from "./library-router.js";
import { openCadre } from "./open-cadre.js";
import { addTinyExperts, type TinyExpert } from "./tiny-library.test.helpers.js";

const moods = ["good", "bad", "so so"];
const keysOf = (subject: string): string[] => Array.from({ length: 6 }, (_, index) => `${subject} ${index}`);
const experts: readonly TinyExpert[] = [
  {
    name: "Weather",
    delta: { kind: "bottleneck", config: { width: 4 } },
    choices: moods,
    keys: keysOf("rain and sun"),
  },
  {
    name: "Ships",
    delta: { kind: "lora", config: { rank: 4, alpha: 4, targets: ["q", "v"] } },
    choices: moods,
    keys: keysOf("0123456789 9876543210"),
  },
  {
    name: "Lists",
    delta: { kind: "lora", config: { rank: 2, alpha: 2, targets: ["q", "k", "v"] } },
    choices: ["one", "two"],
  },
  { name: "Vectors", delta: { kind: "ia3", config: {} }, choices: moods },
  { name: "Whole", delta: "full", choices: moods },
  { name: "Free text", delta: { kind: "lora", config: { rank: 4, alpha: 4, targets: ["q", "v"] } } },
  {
    name: "multitask",
    delta: { kind: "lora", config: { rank: 4, alpha: 4, targets: ["q", "v"] } },
    choices: moods,
    role: "multitask",
  },
];

let folder = "";
let library: Library;
let cadre: Cadre;
let worker: Worker | undefined;
/** The last worker that was started. */
const watchWorkers = (started: Worker): void => {
  worker = started;
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-open-"));
  ({ library } = await addTinyExperts(folder, experts));
  process.on("worker", watchWorkers);
  cadre = await openCadre(library.path, { threads: 1 });
}, 120_000);
afterAll(async () => {
  process.off("worker", watchWorkers);
  await cadre.close();
  await rm(folder, { recursive: true, force: true });
});
afterEach(() => cadre.refresh());

const text = "The sun came out at 12";

/** What the library holds of an expert. */
async function readExpert(id: string): Promise<{ readonly id: string } & Pick<LoadedExpert, "delta" | "tensors">> {
  const { manifest, tensors } = await library.read(id);
  return { id, delta: parseStoredDelta(manifest.delta, id), tensors };
}

/** What the scorer of evaluations says of one expert, without stacks or company. */
async function scoredAlone(name: string, input: string, choices: readonly string[]): Promise<number[]> {
  await using device = await openDevice({ threads: 1 });
  await using base = await openModelFolder(library.base.id);
  const tokenizer = await openTokenizer(library.base.id);
  const stored = name === "base" ? undefined : await readExpert(name);
  await using scorer = createChoiceScorer({
    ...{
      device,
      model: base.model,
      weights: stored !== undefined && stored.delta === undefined ? stored.tensors : base.weights,
    },
    ...(stored?.delta === undefined ? {} : { delta: createDelta(stored.delta, base.model.hookPoints) }),
  });
  const example = {
    input: tokenizer.encode(input),
    targets: choices.map((choice) => tokenizer.encode(choice)),
    correct: 0,
  };
  const call = stored?.delta === undefined ? {} : { deltaTensors: stored.tensors };
  return [...at((await scorer.score([example], call)).scores, 0)];
}

const logsOf = ({ scores }: { readonly scores: readonly { readonly logProbability: number }[] }): number[] =>
  scores.map(({ logProbability }) => logProbability);

function expectNear(found: readonly number[], expected: readonly number[]): void {
  expect(found).toHaveLength(expected.length);
  for (const [index, value] of expected.entries())
    expect(Math.abs(at(found, index) - value)).toBeLessThan(1e-5 * Math.abs(value));
}

test.each(["Weather", "Ships", "Lists", "Vectors", "Whole", "multitask", "base"])(
  "%s classifies as the scorer of evaluations does",
  async (name) => {
    const choices = experts.find((expert) => expert.name === name)?.choices ?? moods;
    const answer = await cadre.classify(text, { experts: name, ...(name === "base" ? { choices } : {}) });
    const expected = await scoredAlone(name, text, choices);
    expectNear(logsOf(answer), expected);
    expect(answer.choice).toBe(choices[bestChoice(expected)]);
    expect(answer.scores.map(({ choice }) => choice)).toEqual(choices);
    expect(answer.scores.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 12);
    expect(answer.inputTokens).toBe(text.length + 1);
    expect(answer.inputTokensCut).toBe(0);
    expect(answer.routing).toMatchObject({ by: name === "base" ? "base" : "request", ranking: [], trace: [] });
    expect(answer.routing.experts.map((expert) => [expert.name, expert.weight])).toEqual(
      name === "base" ? [] : [[name, 1]],
    );
  },
);

test("answers to calls that overlap are those of calls one by one", async () => {
  const names = ["Weather", "Ships", "base", "Lists", "Vectors", "Whole", "auto", "Free text", "multitask"];
  const calls = Array.from({ length: 27 }, (_, index) => ({
    input: `${"long ".repeat(index % 4)}question ${index}`,
    experts: at(names, index % names.length),
    choices: index % 2 === 0 ? moods : ["left", "right", "neither of both", "up"],
  }));
  const together = await Promise.all(calls.map(({ input, ...options }) => cadre.classify(input, options)));
  for (const [index, { input, ...options }] of calls.entries()) {
    const alone = await cadre.classify(input, options);
    expectNear(logsOf(at(together, index)), logsOf(alone));
    expect(at(together, index).routing).toEqual(alone.routing);
  }
}, 120_000);

test("an expert is named by its id, its name or its slug, never by what could be two", async () => {
  const id = at(
    cadre.experts,
    cadre.experts.findIndex(({ name }) => name === "Free text"),
  ).id;
  const choices = ["a", "b"];
  const byId = await cadre.classify(text, { experts: id, choices });
  for (const name of ["Free text", " Free text ", "free-text"]) {
    expect(await cadre.classify(text, { experts: name, choices })).toEqual(byId);
  }
  await expect(cadre.classify(text, { experts: "Wether" })).rejects.toMatchObject({
    code: "not-found",
    message: expect.stringContaining('did you mean "Weather"?'),
  });
  await expect(cadre.route(text, { experts: "qqq" })).rejects.toMatchObject({
    code: "not-found",
    message: expect.stringMatching(/it has ".*Weather" \(weather-/),
  });
  await addTinyExperts(folder, [
    { name: "free TEXT", delta: { kind: "lora", config: { rank: 1, alpha: 1, targets: ["q"] } } },
  ]);
  await cadre.refresh();
  await expect(cadre.classify(text, { experts: "free-text", choices })).rejects.toMatchObject({
    code: "invalid-argument",
    message: expect.stringMatching(
      /which may mean "free TEXT" \(.*\) or "Free text"|which may mean "Free text" \(.*\) or "free TEXT"/,
    ),
  });
  await library.remove("free TEXT");
});

test("a weighted list adds up what its experts change", async () => {
  const list = [
    { id: "Ships", weight: 0.75 },
    { id: "lists", weight: -0.5 },
    { id: "Vectors", weight: 0.5 },
    { id: "Ships", weight: 0.25 },
  ];
  const answer = await cadre.classify(text, { experts: list, choices: moods });
  expect(answer.routing.experts.map(({ name, weight }) => [name, weight])).toEqual([
    ["Ships", 1],
    ["Lists", -0.5],
    ["Vectors", 0.5],
  ]);
  await using device = await openDevice({ threads: 1 });
  await using base = await openModelFolder(library.base.id);
  const tokenizer = await openTokenizer(library.base.id);
  const members = await Promise.all(["Ships", "Lists", "Vectors"].map(readExpert));
  const mixed = mixExperts(
    members.flatMap(({ id, delta, tensors }) => (delta === undefined ? [] : [{ id, delta, tensors }])),
    base.model.hookPoints,
    { perRow: 2 },
  );
  await using scorer = createChoiceScorer({
    device,
    model: base.model,
    weights: base.weights,
    delta: mixed.delta,
    perRow: 2,
  });
  const example = {
    input: tokenizer.encode(text),
    targets: moods.map((choice) => tokenizer.encode(choice)),
    correct: 0,
  };
  const row = {
    example,
    experts: [
      { id: "Ships", weight: 1 },
      { id: "Lists", weight: -0.5 },
      { id: "Vectors", weight: 0.5 },
    ],
  };
  const { scores } = await scorer.score([row], { deltaTensors: mixed.tensors });
  expectNear(logsOf(answer), [...at(scores, 0)]);

  // Labels are theirs only where they share them.
  const same = await cadre.classify(text, {
    experts: [
      { id: "Ships", weight: 0.5 },
      { id: "Vectors", weight: 0.5 },
    ],
  });
  expect(same.scores.map(({ choice }) => choice)).toEqual(moods);
  await expect(cadre.classify(text, { experts: list })).rejects.toMatchObject({ code: "invalid-argument" });
  const withWhole = [
    { id: "Whole", weight: 1 },
    { id: "Ships", weight: 1 },
  ];
  await expect(cadre.classify(text, { experts: withWhole })).rejects.toMatchObject({ code: "unsupported" });
  const endless = [{ id: "Ships", weight: Number.POSITIVE_INFINITY }];
  await expect(cadre.classify(text, { experts: endless })).rejects.toMatchObject({ code: "invalid-argument" });
  expect((await cadre.classify(text, { experts: [], choices: moods })).routing.by).toBe("base");
});

test("auto is what the router of evaluations finds, and says which keys were near", async () => {
  await using device = await openDevice({ threads: 1 });
  await using base = await openModelFolder(library.base.id);
  const tokenizer = await openTokenizer(library.base.id);
  await using keyMaker = await openKeyMaker({ device, base, baseHash: library.base.hash, tokenizer, library });
  await using router = await openLibraryRouter({ device, library, keyMaker });
  const inputs = ["rain and sun 3", "0123456789 9876543210 7", "something else", "9999"];
  for (const choices of [undefined, moods]) {
    const expected = await router.routeEach(
      inputs.map((input) => (choices === undefined ? { input } : { input, choices })),
    );
    const answers = await Promise.all(
      inputs.map((input) => cadre.classify(input, choices === undefined ? {} : { choices })),
    );
    for (const [index, { routing }] of answers.entries()) {
      const alone = at(expected, index);
      expect(routing.by).toBe("auto");
      expect(routing.experts.map(({ id, weight }) => ({ id, weight }))).toEqual(alone.experts);
      expect(routing.trace[0]?.nearest).toHaveLength(10);
      expect(routing.trace[0]?.nearest[0]).toEqual(alone.trace[0]?.nearest[0]);
      expect(routing.ranking.reduce((sum, { votes }) => sum + votes, 0)).toBe(10);
    }
  }
  const routed = await cadre.route("rain and sun 3");
  expect(routed).toEqual((await cadre.classify("rain and sun 3")).routing);
  expect(routed.experts.map(({ name }) => name)).toEqual(["Weather"]);
  expect(cadre.experts.filter(({ routable }) => routable).map(({ name }) => name)).toEqual(["Ships", "Weather"]);
});

test("no new expert is called auto or base; one that a library holds already is asked by its id", async () => {
  const other = join(folder, "reserved");
  const lora: TinyExpert["delta"] = { kind: "lora", config: { rank: 1, alpha: 1, targets: ["q"] } };
  const { library: held } = await addTinyExperts(other, [{ name: "plain", delta: lora, choices: moods }]);
  for (const name of ["auto", "base"]) {
    await expect(addTinyExperts(other, [{ name, delta: lora }])).rejects.toMatchObject({
      code: "invalid-argument",
      message: expect.stringContaining("give it another name"),
    });
  }
  // As an earlier version wrote it.
  const id = await expertId("auto");
  const plain = await held.read("plain");
  const expert = { ...plain, id, manifest: { ...plain.manifest, name: "auto" } };
  await exportExpert(join(held.path, "experts", id), { expert });
  await using opened = await openCadre(held.path, { threads: 1 });
  expect(opened.experts.map(({ name }) => name).sort()).toEqual(["auto", "plain"]);
  const [byId, same] = await Promise.all([id, "plain"].map((name) => opened.classify(text, { experts: name })));
  expect(byId?.routing).toMatchObject({ by: "request", experts: [{ name: "auto" }] });
  expect(byId?.scores).toEqual(same?.scores);
});

test("without keys auto is the base", async () => {
  const other = join(folder, "keyless");
  const { library: keyless } = await addTinyExperts(other, [
    { name: "only", delta: { kind: "ia3", config: {} }, choices: moods },
    { name: "multitask", role: "multitask", delta: { kind: "ia3", config: {} }, choices: moods, keys: keysOf("x") },
  ]);
  await using opened = await openCadre(keyless.path, { threads: 1 });
  expect((await opened.classify(text, { choices: moods })).routing).toEqual({
    by: "base",
    experts: [],
    ranking: [],
    trace: [],
  });
  await expect(opened.classify(text)).rejects.toMatchObject({
    code: "invalid-argument",
    message:
      "classify: expected choices, as the base answers, which has none of its own; give choices, or use generate",
  });
  const { vectors } = await opened.embed([text]);
  expect(Math.hypot(...at(vectors, 0))).toBeCloseTo(1, 5);
});

test("embedded texts are unit vectors, equal for equal texts", async () => {
  const { vectors, width, inputTokens } = await cadre.embed(["one text", "another", "one text"]);
  expect(vectors.map(({ length }) => length)).toEqual([width, width, width]);
  for (const vector of vectors) expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
  expect(vectors[0]).toEqual(vectors[2]);
  expect(vectors[0]).not.toEqual(vectors[1]);
  expect(inputTokens).toBe("one textanotherone text".length + 3);
  await expect(cadre.embed([])).rejects.toMatchObject({ code: "invalid-argument" });
  await expect(cadre.embed(["one", " "])).rejects.toMatchObject({
    message: "embed: text 1: expected a text, got an empty one",
  });
});

test("bad questions are refused in words", async () => {
  const cases: readonly [string, Parameters<Cadre["classify"]>[1], string, string][] = [
    ["", {}, "invalid-argument", "classify: expected a text, got an empty one"],
    [" \n", {}, "invalid-argument", "got an empty one"],
    [text, { choices: ["one"] }, "invalid-argument", 'expected two or more different labels, got only "one"'],
    [text, { choices: [] }, "invalid-argument", "got none"],
    [text, { choices: ["one", "two", "one"] }, "invalid-argument", 'got "one" twice'],
    [text, { choices: ["one", " "] }, "invalid-argument", "an empty one in place 2"],
    [
      text,
      { choices: ["x".repeat(3000), "y".repeat(3000)] },
      "invalid-argument",
      "at most 4096 tokens in all of them together, got 6002",
    ],
    [text, { experts: "Free text" }, "invalid-argument", 'as "Free text" answers, whose task has no fixed ones'],
    [text, { experts: "base" }, "invalid-argument", "the base answers, which has none of its own"],
  ];
  for (const [input, options, code, message] of cases) {
    const refused = cadre.classify(input, options);
    await expect(refused, message).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
  }
  await expect(cadre.route("")).rejects.toMatchObject({ code: "invalid-argument" });
  await expect(cadre.generate("  ")).rejects.toMatchObject({ code: "invalid-argument" });
  await expect(openCadre(library.path, { inputLength: 1 })).rejects.toMatchObject({ code: "invalid-argument" });
  await expect(openCadre(join(folder, "nowhere"))).rejects.toMatchObject({ code: "not-found" });
});

test("what only JavaScript can pass is refused in words, too", async () => {
  const cases: readonly ["classify" | "generate" | "route" | "embed", unknown, unknown, string][] = [
    ["classify", text, null, "classify: expected an object of options, or none, got null"],
    ["classify", text, "Ships", 'classify: expected an object of options, or none, got "Ships"'],
    ["classify", text, { choices: "ab" }, 'choices: expected a list of labels, got "ab"'],
    ["classify", text, { choices: null }, "choices: expected a list of labels, got null"],
    ["classify", text, { choices: [1, 2] }, "choices: expected labels that are texts, got 1 in place 1"],
    ["classify", text, { choices: ["a", null] }, "choices: expected labels that are texts, got null in place 2"],
    ["classify", null, {}, "classify: expected a text, got null"],
    ["classify", ["a"], {}, "classify: expected a text, got a list"],
    ["classify", text, { experts: 5 }, 'experts: expected "auto", "base", an expert\'s id or name, or a list'],
    ["generate", text, { experts: null }, "or a list of { id, weight }, got null"],
    ["route", text, { experts: {} }, "or a list of { id, weight }, got an object"],
    ["route", text, { experts: ["Ships"] }, 'experts: expected { id, weight } in place 1, got "Ships"'],
    ["route", text, { experts: [{ weight: 1 }] }, "in place 1, got an object without an id that is a text"],
    ["route", text, { experts: [{ id: "Ships" }] }, 'experts: expected a finite weight of "Ships", got undefined'],
    ["route", text, { experts: [{ id: "Ships", weight: "1" }] }, 'a finite weight of "Ships", got "1"'],
    ["route", text, { signal: {} }, "route: signal: expected an AbortSignal, got an object"],
    ["route", text, null, "route: expected an object of options, or none, got null"],
    ["embed", "text", {}, 'embed: expected a list of texts, got "text"'],
    ["embed", [text, 5], {}, "embed: text 1: expected a text, got 5"],
    ["embed", [text], null, "embed: expected an object of options, or none, got null"],
    ["generate", text, null, "generate: expected an object of options, or none, got null"],
    ["generate", text, { temperature: "1" }, 'temperature: expected 0, or a number from 0.0001 to 100, got "1"'],
    ["generate", text, { topP: "0.5" }, 'topP: expected a number above 0 and at most 1, got "0.5"'],
    ["generate", text, { maxTokens: "8" }, 'maxTokens: expected an integer from 1 to 4096, got "8"'],
    ["generate", text, { stop: "x" }, 'stop: expected a list of texts, got "x"'],
    ["generate", text, { stop: null }, "stop: expected a list of texts, got null"],
    ["generate", text, { stop: ["x", 1] }, "stop: expected a list of texts, got 1 in place 2"],
  ];
  for (const [method, input, options, message] of cases) {
    const refused: Promise<unknown> = Reflect.apply(cadre[method], cadre, [input, options]);
    await expect(refused, message).rejects.toMatchObject({
      code: "invalid-argument",
      message: expect.stringContaining(message),
    });
  }
  const stream = Reflect.apply(cadre.stream, cadre, [text, null]);
  await expect(stream.next()).rejects.toMatchObject({ code: "invalid-argument" });
  for (const given of [[5], [library.path, null], [library.path, { inputLength: "16" }]]) {
    const refused: Promise<unknown> = Reflect.apply(openCadre, undefined, given);
    await expect(refused).rejects.toMatchObject({ code: "invalid-argument" });
  }
});

test("a text beyond the limit is cut, and the answer says how much", async () => {
  await using short = await openCadre(library.path, { threads: 1, inputLength: 16 });
  const long = "0123456789 and what comes after";
  const answer = await short.classify(long, { experts: "Ships" });
  expect(answer).toMatchObject({ inputTokens: 16, inputTokensCut: long.length + 1 - 16 });
  expectNear(logsOf(answer), logsOf(await cadre.classify(long.slice(0, 15), { experts: "Ships" })));
});

test("routing and embeddings read 256 tokens, and say what they left out", async () => {
  // What the library's keys write before an input.
  const before = "Instance: ".length;
  const fits = "x".repeat(255 - before);
  expect((await cadre.route(fits)).inputTokensCut).toBeUndefined();
  const long = `${fits}0123456789`;
  expect((await cadre.route(long)).inputTokensCut).toBe(10);
  const answer = await cadre.classify(long, { choices: moods });
  expect(answer).toMatchObject({ routing: { by: "auto", inputTokensCut: 10 }, inputTokensCut: 0 });
  expect((await cadre.classify(long, { experts: "Ships" })).routing.inputTokensCut).toBeUndefined();

  const whole = await cadre.embed([fits, "short"]);
  expect(whole.inputTokensCut).toBeUndefined();
  const cut = await cadre.embed([fits, long, "short", `${long} and more`]);
  expect(cut.inputTokensCut).toEqual([0, 10, 0, 19]);
  expect(cut.inputTokens).toBe(3 * (256 - before) + "short".length + 1);
  // What was left out had no part in the vector.
  expect(cut.vectors[1]).toEqual(cut.vectors[0]);
});

test("refresh sees experts that another process adds, removes or replaces; calls that were under way keep theirs", async () => {
  const late: TinyExpert = {
    name: "Late",
    delta: { kind: "lora", config: { rank: 4, alpha: 4, targets: ["q", "v"] } },
    choices: moods,
    keys: keysOf("late trains"),
  };
  await expect(cadre.classify(text, { experts: "Late" })).rejects.toMatchObject({ code: "not-found" });
  await addTinyExperts(folder, [late]);
  await expect(cadre.classify(text, { experts: "Late" })).rejects.toMatchObject({ code: "not-found" });
  const routed = async () => (await cadre.classify("late trains 2", { choices: moods })).routing.experts;
  const before = await routed();
  expect(before.map(({ name }) => name)).not.toContain("Late");
  const underWay = routed();
  await cadre.refresh();
  expect(await underWay).toEqual(before);
  expect((await routed()).map(({ name }) => name)).toEqual(["Late"]);
  const first = await cadre.classify(text, { experts: "Late" });
  expectNear(logsOf(first), await scoredAlone("Late", text, moods));

  const second = await openLibrary(library.path);
  await second.remove("Late");
  await addTinyExperts(folder, [{ ...late, variant: 1 }]);
  // What was read stays what it was.
  expect(logsOf(await cadre.classify(text, { experts: "Late" }))).toEqual(logsOf(first));
  await cadre.refresh();
  const replaced = await cadre.classify(text, { experts: "Late" });
  expectNear(logsOf(replaced), await scoredAlone("Late", text, moods));
  expect(logsOf(replaced)).not.toEqual(logsOf(first));

  await using fresh = await openCadre(library.path, { threads: 1 });
  await second.remove("Late");
  await addTinyExperts(folder, [{ ...late, variant: 2 }]);
  await expect(fresh.classify(text, { experts: "Late" })).rejects.toMatchObject({ code: "mismatch" });
  await second.remove("Late");
  await expect(fresh.classify(text, { experts: "Late" })).rejects.toMatchObject({ code: "not-found" });
  await fresh.refresh();
  expect(fresh.experts.map(({ name }) => name)).not.toContain("Late");
}, 120_000);

test("a signal ends its own call only", async () => {
  const stop = new AbortController();
  const aborted = cadre.classify("first", { experts: "Ships", signal: stop.signal });
  const other = cadre.classify(text, { experts: "Ships" });
  stop.abort(new Error("enough"));
  await expect(aborted).rejects.toMatchObject({ code: "aborted", cause: { message: "enough" } });
  expect((await other).routing.experts.map(({ name }) => name)).toEqual(["Ships"]);
  await expect(cadre.classify(text, { experts: "Ships", signal: stop.signal })).rejects.toMatchObject({
    code: "aborted",
  });
  await expect(cadre.route(text, { signal: stop.signal })).rejects.toMatchObject({ code: "aborted" });
  await expect(openCadre(library.path, { signal: stop.signal })).rejects.toMatchObject({ code: "aborted" });
});

test("closing rejects what is pending and what comes later", async () => {
  const opened = await openCadre(library.path, { threads: 1 });
  const pending = Promise.allSettled([
    opened.classify(text),
    opened.route(text),
    opened.embed([text]),
    opened.generate(text),
  ]);
  await Promise.all([opened.close(), opened.close()]);
  for (const result of await pending) expect(result).toMatchObject({ status: "rejected", reason: { code: "closed" } });
  await expect(opened.classify(text)).rejects.toMatchObject({
    code: "closed",
    message: "cadre: expected an open cadre, this one was closed; open the library again",
  });
  await expect(opened.refresh()).rejects.toMatchObject({ code: "closed" });
  await opened[Symbol.asyncDispose]();
});

test("when the worker has died, the next call starts another", async () => {
  await using opened = await openCadre(library.path, { threads: 1 });
  const first = worker;
  const expected = await opened.classify(text, { experts: "Ships" });
  await first?.terminate();
  const after = await Promise.all([opened.classify(text, { experts: "Ships" }), opened.route("rain and sun 3")]);
  expect(after[0]).toEqual(expected);
  expect(after[1].experts.map(({ name }) => name)).toEqual(["Weather"]);
  expect(worker).not.toBe(first);
}, 120_000);

test("a library of another base is refused", async () => {
  const other = join(folder, "other");
  await addTinyExperts(other, [{ name: "x", delta: "full" }]);
  const whole = await openLibrary(join(other, "library"));
  // Its one expert is a base of other weights.
  const { tensors } = await whole.read("x");
  await using base = await openModelFolder(join(other, "base"));
  await saveModelFolder(join(other, "changed"), { config: base.config, tensors });
  await cp(join(other, "base", "tokenizer_config.json"), join(other, "changed", "tokenizer_config.json"));
  await expect(openCadre(library.path, { base: join(other, "changed") })).rejects.toMatchObject({
    code: "mismatch",
    message: expect.stringContaining("say by the option base where that one lies"),
  });
});

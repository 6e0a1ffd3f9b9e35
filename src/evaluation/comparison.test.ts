import fc from "fast-check";
import { expect, test } from "vitest";
import { at } from "../core/at.js";
import { createRandom, hashText } from "../core/random.js";
import { excludesZero } from "./bootstrap.js";
import { type Comparison, compare, type SuiteComparison } from "./comparison.js";
import { type FakeScorer, fakeHash, fakeResults, fakeTask } from "./comparison.test.helpers.js";
import { crossFit, drawHalves } from "./cross-fit.js";
import type { EvaluationResults, SystemName } from "./results-schema.js";
import { type EvaluationTask, taskRecord, unlabelledRows } from "./results-task.js";
import { rescoreWritten } from "./written-answers.js";

const OPTIONS = { resamples: 400 };

function meanOf(suite: SuiteComparison | undefined, name: string): number {
  return suite?.figures.find((figure) => figure.name === name)?.mean.mean ?? Number.NaN;
}

/** Knows the answers, which no system could. */
function perfect(tasks: readonly EvaluationTask[]): FakeScorer {
  return ({ choices = [] }, { task, row }) => {
    const target = tasks.find(({ name }) => name === task)?.rows[row]?.targets[0];
    return choices.map((choice) => (choice === target ? -1 : -2));
  };
}

/** Random scores, other ones for every seed and row. */
function guessing(seed: number): FakeScorer {
  return ({ input, choices = [] }) => {
    const random = createRandom(seed, hashText(input));
    return choices.map(() => -random.nextFloat());
  };
}

test("a scorer that knows the answers has 100 everywhere, with an interval of no width", async () => {
  const tasks = [
    fakeTask("first", { suite: "seen", instances: 30, templates: 2 }),
    fakeTask("second", { suite: "seen", instances: 7, choices: ["a", "b", "c"] }),
    fakeTask("third", { suite: "unseen", instances: 11 }),
    ...["x", "y", "z"].map((name) => fakeTask(name, { suite: "unseen", instances: 9 })),
  ];
  const scorer = perfect(tasks);
  const names: SystemName[] = [
    "base",
    "multitask",
    "multitaskOneBudget",
    "routed",
    "mergedTop3",
    "expert:1",
    "expert:2",
  ];
  const results = await fakeResults({
    tasks,
    scorers: Object.fromEntries(names.map((name) => [name, scorer])),
    experts: [
      { id: "1", task: "first" },
      { id: "2", task: "second" },
    ],
    router: (row) => (row.input.startsWith("second") ? "2" : "1"),
  });
  const { seen, unseen, seeds } = compare([results], OPTIONS);
  expect(seeds).toBe(1);
  for (const suite of [seen, unseen]) {
    for (const { name, mean, perTask } of suite?.figures ?? []) {
      const expected = name === "chance" || name === "majority" ? undefined : { mean: 100, low: 100, high: 100 };
      for (const figure of expected === undefined ? [] : [mean, ...perTask]) {
        expect(figure, name).toEqual(expected);
      }
    }
    for (const { mean, first } of suite?.differences ?? []) {
      expect(mean.resolved, first).toBe(["majority", "chance"].includes(first) || mean.mean !== 0);
    }
  }
  expect(seen?.figures.map(({ name }) => name)).toEqual([
    "base",
    "multitask",
    "multitaskOneBudget",
    "expert",
    "auto",
    "routingAccuracy",
    "majority",
    "chance",
  ]);
  expect(meanOf(seen, "chance")).toBeCloseTo((50 + 100 / 3) / 2, 10);
  expect(meanOf(seen, "majority")).toBeCloseTo((50 + (100 * 3) / 7) / 2, 10);
  expect(seen?.tasks).toEqual([
    { name: "first", metric: "accuracy", rows: 60, instances: 30 },
    { name: "second", metric: "accuracy", rows: 7, instances: 7 },
  ]);
});

test("a scorer that guesses has chance ± 3 standard errors", async () => {
  const tasks = [
    fakeTask("two", { suite: "seen", instances: 300 }),
    fakeTask("five", { suite: "seen", instances: 300, choices: ["a", "b", "c", "d", "e"] }),
  ];
  const { seen } = compare([await fakeResults({ tasks, scorers: { base: guessing(1) } })], OPTIONS);
  const standardError = (100 / 2) * Math.sqrt((0.25 + 0.16) / 300);
  expect(meanOf(seen, "chance")).toBeCloseTo(35, 10);
  expect(Math.abs(meanOf(seen, "base") - 35)).toBeLessThan(3 * standardError);
  const chance = seen?.differences.find(({ first }) => first === "chance");
  expect(chance?.mean.resolved).toBe(false);
});

test("shuffled evaluation labels leave every route, and all that routers and systems see, byte-identical", async () => {
  const task = fakeTask("seen", { suite: "seen", instances: 40, choices: ["a", "b", "c"] });
  const targets = createRandom(5).shuffle(task.rows.map((row) => row.targets));
  const shuffled = {
    ...task,
    majority: "c",
    rows: task.rows.map((row, index) => ({ ...row, targets: at(targets, index) })),
  };
  expect(shuffled.rows).not.toEqual(task.rows);
  expect(JSON.stringify(unlabelledRows(shuffled))).toBe(JSON.stringify(unlabelledRows(task)));
  // Routes by everything that it is given: a label anywhere would change them.
  const evaluate = (tasks: readonly EvaluationTask[]) =>
    fakeResults({
      tasks,
      scorers: { base: guessing(1), "expert:0": guessing(2), "expert:1": guessing(3) },
      experts: [
        { id: "0", task: "seen" },
        { id: "1", task: "other" },
      ],
      router: (row) => `${hashText(JSON.stringify(row)) % 2}`,
    });
  const [before, after] = [await evaluate([task]), await evaluate([shuffled])];
  expect(JSON.stringify(after.routes)).toBe(JSON.stringify(before.routes));
  expect(new Set(before.routes.flatMap(({ rows }) => rows.flat().map(({ id }) => id)))).toEqual(new Set(["0", "1"]));
  expect(after.cells.map(({ predictions }) => predictions)).toEqual(before.cells.map(({ predictions }) => predictions));
  expect(after.cells.map(({ scores }) => scores)).not.toEqual(before.cells.map(({ scores }) => scores));
  expect(after.tasks[0]?.sha256).not.toBe(before.tasks[0]?.sha256);
});

test("routers see inputs, choices and their template, and no other field", () => {
  const [row] = fakeTask("a", { suite: "seen", instances: 2 }).rows;
  if (row === undefined) throw new Error("no row");
  const task = {
    name: "a",
    suite: "seen",
    choices: ["x", "y"],
    rows: [row, { ...row, choices: ["z"], answerChoices: "{{ z }}" }],
  } as const;
  expect(unlabelledRows(task)).toEqual([
    { input: row.input, choices: ["x", "y"] },
    { input: row.input, choices: ["z"], answerChoices: "{{ z }}" },
  ]);
});

test("experts that are equal in truth: oracle and best single do not gain from noise", async () => {
  const tasks = Array.from({ length: 40 }, (_, index) =>
    fakeTask(`task ${index}`, { suite: "unseen", instances: 60, templates: 2 }),
  );
  const ids = ["0", "1", "2", "3", "4", "5"];
  const results = await fakeResults({
    tasks,
    scorers: Object.fromEntries(ids.map((id) => [`expert:${id}`, guessing(Number(id))])),
    experts: ids.map((id) => ({ id, task: `other ${id}` })),
  });
  const { unseen } = compare([results], { resamples: 50 });
  // Per instance two templates, 60 instances, 40 tasks.
  const standardError = 100 * Math.sqrt(0.25 / (2 * 60 * 40));
  expect(Math.abs(meanOf(unseen, "oracle") - 50)).toBeLessThan(3 * standardError);
  expect(Math.abs(meanOf(unseen, "bestSingle") - 50)).toBeLessThan(3 * standardError);
  const naive = tasks.map((_, task) => Math.max(...(unseen?.experts ?? []).map(({ means }) => means[task] ?? 0)));
  const naiveMean = naive.reduce((sum, value) => sum + value, 0) / naive.length;
  expect(naiveMean - 50).toBeGreaterThan(5 * standardError);
});

/** Instance means of a cell, spelled out. */
function slowValues(results: EvaluationResults, system: string, task: number): number[] {
  const { rows, name } = at(results.tasks, task);
  const scores = results.cells.find((cell) => cell.system === system && cell.task === name)?.scores ?? [];
  return [...new Set(rows.map(({ instance }) => instance))].map((instance) => {
    const own = scores.filter((_, row) => rows[row]?.instance === instance);
    return own.reduce((sum, value) => sum + value, 0) / own.length;
  });
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

const SHAPE = fc.record({
  seed: fc.nat(10_000),
  experts: fc.integer({ min: 1, max: 4 }),
  sizes: fc.array(fc.record({ instances: fc.integer({ min: 2, max: 9 }), templates: fc.integer({ min: 1, max: 3 }) }), {
    minLength: 1,
    maxLength: 3,
  }),
});

test("figures of unseen tasks are what their definitions say", async () => {
  await fc.assert(
    fc.asyncProperty(SHAPE, async ({ seed, experts, sizes }) => {
      const tasks = sizes.map((size, index) => fakeTask(`task ${index}`, { suite: "unseen", ...size }));
      const ids = Array.from({ length: experts }, (_, index) => `${index}`);
      const pick = (input: string) => `${hashText(input) % experts}`;
      const results = await fakeResults({
        tasks,
        scorers: Object.fromEntries(
          ["base", ...ids.map((id) => `expert:${id}`)].map((name) => [name, guessing(seed + (hashText(name) % 1000))]),
        ),
        experts: ids.map((id) => ({ id, task: `of ${id}` })),
        router: ({ input }) => pick(input),
      });
      const { unseen } = compare([results], { resamples: 20, seed });
      const matrix = tasks.map((_, task) => ids.map((id) => slowValues(results, `expert:${id}`, task)));
      const halves = tasks.map(({ name }, task) =>
        drawHalves(at(sizes, task).instances, { seed, stream: hashText(name) }),
      );
      const fitted = matrix.map((values, task) => ({ values, inFirstHalf: at(halves, task) }));
      const expected: Record<string, number> = {
        base: average(tasks.map((_, task) => average(slowValues(results, "base", task)))),
        random: average(matrix.map((values) => average(values.map(average)))),
        oracle: average(fitted.map((task) => average(at(crossFit([task]).values, 0)))),
        bestSingle: average(crossFit(fitted).values.map(average)),
        retrieved: average(
          tasks.map(({ rows, name }) =>
            // All instances have equally many templates.
            average(
              rows.map(({ input }, row) => {
                const cell = results.cells.find((one) => one.system === `expert:${pick(input)}` && one.task === name);
                return cell?.scores[row] ?? Number.NaN;
              }),
            ),
          ),
        ),
      };
      for (const [name, value] of Object.entries(expected)) {
        expect(meanOf(unseen, name), name).toBeCloseTo(100 * value, 8);
      }
      const regret = unseen?.differences.find(({ first, second }) => first === "oracle" && second === "retrieved");
      expect(regret?.mean.mean).toBeCloseTo(100 * ((expected.oracle ?? 0) - (expected.retrieved ?? 0)), 8);
      for (const { mean, perTask } of unseen?.figures ?? []) {
        expect(mean.low).toBeLessThanOrEqual(mean.high);
        expect(mean.mean).toBeCloseTo(average(perTask.map((figure) => figure.mean)), 8);
      }
      expect(unseen?.experts.map(({ means }) => means)).toEqual(
        ids.map((_, id) => matrix.map((values) => expect.closeTo(100 * average(at(values, id)), 8))),
      );
    }),
    { numRuns: 40 },
  );
});

/** Right on the tasks that it lists, else guessing. */
function knows(tasks: readonly EvaluationTask[], known: (task: string, row: number) => boolean): FakeScorer {
  const right = perfect(tasks);
  return ({ choices = [], input }, place) => {
    const scores = right({ choices, input }, place);
    return known(place.task, place.row) ? scores : scores.map((score) => -score);
  };
}

test("own expert, auto and routing accuracy follow tasks, templates and routes", async () => {
  const tasks = [
    fakeTask("a", { suite: "seen", instances: 20, templates: 2 }),
    fakeTask("b", { suite: "seen", instances: 20, templates: 2 }),
  ];
  const results = await fakeResults({
    tasks,
    scorers: {
      base: knows(tasks, () => false),
      // Templates alternate from row to row; each expert knows its own.
      "expert:a0": knows(tasks, (task, row) => task === "a" && row % 2 === 0),
      "expert:a1": knows(tasks, (task, row) => task === "a" && row % 2 === 1),
      "expert:b": knows(tasks, (task) => task === "b"),
    },
    experts: [
      { id: "a0", task: "a", template: "0" },
      { id: "a1", task: "a", template: "1" },
      { id: "b", task: "b" },
    ],
    // a's rows go to a's first expert, whatever their template; half of b's to a's.
    router: ({ input }) => (input.startsWith("a") || input.endsWith("0") ? "a0" : "b"),
  });
  const { seen } = compare([results], OPTIONS);
  expect(meanOf(seen, "expert")).toBe(100);
  expect(meanOf(seen, "auto")).toBe(50);
  expect(meanOf(seen, "routingAccuracy")).toBe(75);
  expect(seen?.experts).toEqual([
    { label: "a / 0", means: [50, 0] },
    { label: "a / 1", means: [50, 0] },
    { label: "b", means: [0, 100] },
  ]);
  expect(seen?.mostPicked).toEqual({ label: "a / 0", share: 75 });
  const gain = seen?.differences.find(({ first, second }) => first === "expert" && second === "base");
  expect(gain?.mean).toEqual({ mean: 100, low: 100, high: 100, resolved: true });
  expect(seen?.figures.map(({ name, trainingFlops }) => [name, trainingFlops])).toContainEqual(["expert", 3e9]);
  expect(seen?.figures.map(({ name, trainingFlops }) => [name, trainingFlops])).toContainEqual(["base", 0]);
});

test("a few rows resolve nothing, however clear they look", async () => {
  const comparison = async (instances: number): Promise<Comparison> => {
    const tasks = [fakeTask("a", { suite: "seen", instances })];
    const scorers = { base: knows(tasks, () => false), "expert:a": knows(tasks, () => true) };
    return compare([await fakeResults({ tasks, scorers, experts: [{ id: "a", task: "a" }] })], OPTIONS);
  };
  for (const [instances, resolved] of [
    [5, false],
    [6, true],
  ] as const) {
    const pair = (await comparison(instances)).seen?.differences.find(({ first }) => first === "expert");
    expect(pair?.mean).toEqual({ mean: 100, low: 100, high: 100, resolved });
  }
});

test("a tie is not resolved by rounding", async () => {
  // Each instance has three templates: two right here, one there, in sums of thirds that do not cancel exactly.
  const tasks = [fakeTask("a", { suite: "seen", instances: 30, templates: 3 })];
  const other = (share: number) =>
    knows(tasks, (_, row) => row % 3 < (Math.floor(row / 3) % 2 === 0 ? share : 3 - share));
  const results = await fakeResults({ tasks, scorers: { base: other(1), multitask: other(2) } });
  const flat = compare([results], { resamples: 1 }).seen?.differences.find(({ first }) => first === "multitask");
  expect(flat?.mean.mean).toBeCloseTo(0, 9);
  expect(excludesZero({ low: 1e-17, high: 2e-16 })).toBe(false);
  expect(excludesZero({ low: -0.1, high: -1e-6 })).toBe(true);
});

test("several training seeds are averaged and widen the intervals", async () => {
  const tasks = [fakeTask("a", { suite: "seen", instances: 50 })];
  const seeds = [0.9, 0.5, 0.1].map((share, trainingSeed) =>
    fakeResults({ tasks, trainingSeed, scorers: { base: knows(tasks, (_, row) => row < 50 * share) } }),
  );
  const [first, ...others] = await Promise.all(seeds);
  if (first === undefined) throw new Error("no seed");
  const { seen, seeds: count } = compare([first, ...others], OPTIONS);
  expect(count).toBe(3);
  const base = seen?.figures[0];
  expect(base?.mean.mean).toBeCloseTo(50, 10);
  const one = compare([first], OPTIONS).seen?.figures[0];
  const width = (figure: { low: number; high: number } | undefined) => (figure?.high ?? 0) - (figure?.low ?? 0);
  expect(width(base?.mean)).toBeGreaterThan(2 * width(one?.mean));
});

test("majority, where the training rows are not known, is chosen on the other half", async () => {
  const label = (instance: number) => (instance < 8 ? 1 : 0);
  const { majority: _, ...task } = fakeTask("a", { suite: "unseen", instances: 10, label });
  const { unseen } = compare([await fakeResults({ tasks: [task], scorers: { base: guessing(1) } })], OPTIONS);
  expect(meanOf(unseen, "majority")).toBe(80);
});

test("majority is that of each template where templates have answers of their own, known or cross-fitted", async () => {
  const label = (instance: number) => (instance < 8 ? 1 : 0);
  const { majority: _, choices: __, ...task } = fakeTask("a", { suite: "unseen", instances: 10, templates: 2, label });
  const rows = task.rows.map(({ targets, ...row }) => {
    const inWords = (text: string) => (row.template === "0" ? text : `the answer is ${text}`);
    return { ...row, targets: targets.map(inWords), choices: ["no", "yes"].map(inWords) };
  });
  const ofMajority = async (more: Partial<EvaluationTask>) => {
    const results = await fakeResults({ tasks: [{ ...task, rows, ...more }], scorers: { base: guessing(1) } });
    return meanOf(compare([results], OPTIONS).unseen, "majority");
  };
  expect(await ofMajority({})).toBe(80);
  expect(await ofMajority({ majorityByTemplate: { "0": "no", "1": "the answer is yes" } })).toBe(50);
  // One string for all rows, as results of older versions have it.
  expect(await ofMajority({ majority: "yes" })).toBe(40);
});

test("written answers: the majority is judged as systems are, and all are judged by softer metrics too", async () => {
  const answers = ["The red car.", "the red car", "a red car!", "two blue cars", "red"];
  const task: EvaluationTask = {
    ...{ name: "a", suite: "seen", metric: "exact match", majority: "red car" },
    rows: answers.map((target, row) => ({ instance: `${row}`, template: "0", input: `${row}`, targets: [target] })),
  };
  const chosen = fakeTask("b", { suite: "seen", instances: 4 });
  const fake = await fakeResults({ tasks: [chosen], scorers: { base: guessing(1) } });
  const record = await taskRecord(task);
  const [cell] = fake.cells;
  if (cell === undefined) throw new Error("no cell");
  const predictions = answers.map(() => "red");
  const written = { ...cell, task: "a", taskSha256: record.sha256, predictions, scores: [0, 0, 0, 0, 1] };
  const results = { ...fake, tasks: [record, ...fake.tasks], cells: [written, ...fake.cells] };
  const { seen } = compare([results], OPTIONS);
  expect(seen?.figures.find(({ name }) => name === "majority")?.perTask[0]?.mean).toBeCloseTo(60, 10);
  const means = seen?.written?.map(({ metric, figures }) => [metric, ...figures.map(({ mean }) => mean.mean)]);
  // "red" shares one of two words with three answers, and is one; by ROUGE-L, which keeps articles, one of three.
  expect(means).toEqual([
    ["exact match", expect.closeTo(20, 8), expect.closeTo(60, 8)],
    ["token F1", expect.closeTo(60, 8), expect.closeTo((100 * (3 + 2 / 3)) / 5, 8)],
    ["ROUGE-L", expect.closeTo((100 * (3 * 0.5 + 1)) / 5, 8), expect.closeTo((100 * (3 * 0.8 + 2 / 3)) / 5, 8)],
  ]);
  expect(seen?.written?.[0]?.figures.map(({ name }) => name)).toEqual(["base", "majority"]);
  expect(compare([fake], OPTIONS).seen).not.toHaveProperty("written");
  expect(() => rescoreWritten(results, "accuracy")).toThrow(/expected exact match, token F1, ROUGE-L, got "accuracy"/);
});

test("an evaluation that is not finished is refused, naming what is missing", async () => {
  const tasks = ["a", "b"].map((name) => fakeTask(name, { suite: "unseen", instances: 4 }));
  const scorers = { base: guessing(1), "expert:0": guessing(2), "expert:1": guessing(3) };
  const experts = ["0", "1"].map((id) => ({ id, task: id }));
  const without = async (missing: (system: string, task: string) => boolean) => {
    const results = await fakeResults({ tasks, scorers, experts, covers: (system, task) => !missing(system, task) });
    return () => compare([results], OPTIONS);
  };
  expect(await without((system, task) => system === "base" && task === "b")).toThrow(/cell of base on "b", found none/);
  expect(await without((system, task) => system === "expert:1" && task === "b")).toThrow(/cell of expert:1 on "b"/);
  expect(await without((system) => system === "expert:1")).toThrow(/cell of expert:1 on "a"/);
  // No expert at all: the table is shorter.
  const { unseen } = (await without((system) => system.startsWith("expert:")))();
  expect(unseen?.figures.map(({ name }) => name)).toEqual(["base", "majority", "chance"]);
});

test("rows that are answered by weighted experts need a cell of their own", async () => {
  const tasks = [fakeTask("a", { suite: "seen", instances: 4 })];
  const scorers = { base: guessing(1), "expert:0": guessing(2) };
  const results = await fakeResults({ tasks, scorers, experts: [{ id: "0", task: "a" }], router: () => "0" });
  const mixed = {
    ...results,
    routes: [{ task: "a", rows: tasks.flatMap(({ rows }) => rows.map(() => [{ id: "0", weight: 0.5 }])) }],
  };
  expect(() => compare([mixed], OPTIONS)).toThrow(/"a", row 0: expected a cell of routed/);
  const toBase = { ...results, routes: [{ task: "a", rows: tasks.flatMap(({ rows }) => rows.map(() => [])) }] };
  const { seen } = compare([toBase], OPTIONS);
  expect(meanOf(seen, "auto")).toBe(meanOf(seen, "base"));
  expect(meanOf(seen, "routingAccuracy")).toBe(0);
});

test("a seen task has one expert for each row", async () => {
  const tasks = ["a", "b"].map((name) => fakeTask(name, { suite: "seen", instances: 4 }));
  const scorers = { "expert:0": guessing(2), "expert:1": guessing(3) };
  const withExperts = async (experts: readonly { readonly id: string; readonly task: string }[]) => {
    const results = await fakeResults({ tasks, scorers, experts });
    return () => compare([results], OPTIONS);
  };
  expect(
    await withExperts([
      { id: "0", task: "a" },
      { id: "1", task: "c" },
    ]),
  ).toThrow(/task "b", template "0": expected one expert, got none/);
  expect(
    await withExperts([
      { id: "0", task: "a" },
      { id: "1", task: "a" },
    ]),
  ).toThrow(/task "a", template "0": expected one expert, got 0, 1/);
});

test("seeds of other tasks, settings, systems or of the same number are refused, and tasks of one instance", async () => {
  const results = (tasks: readonly EvaluationTask[], trainingSeed: number, more = {}) =>
    fakeResults({ tasks, trainingSeed, scorers: { base: guessing(1), ...more } });
  const task = fakeTask("a", { suite: "seen", instances: 4 });
  const first = await results([task], 0);
  const refuses = (other: EvaluationResults, message: RegExp) =>
    expect(() => compare([first, other], OPTIONS)).toThrow(
      expect.objectContaining({ code: "mismatch", message: expect.stringMatching(message) }),
    );
  refuses(await results([task], 0), /different training seeds, got 0, 0/);
  refuses(
    await results([{ ...task, rows: task.rows.toReversed() }], 1),
    /same rows of the same tasks .* for seed 1 in "a"/,
  );
  refuses(await results([task, { ...task, name: "b" }], 1), /same rows/);
  refuses(await results([task], 1, { multitask: guessing(2) }), /same systems/);
  const second = await results([task], 1);
  refuses({ ...second, identity: { ...second.identity, base: fakeHash("c") } }, /same base and settings/);
  expect(() => compare([])).toThrow(/at least one training seed/);
  const small = await results([fakeTask("small", { suite: "seen", instances: 1, templates: 3 })], 0);
  expect(() => compare([small])).toThrow(/task "small": expected two instances or more, got 1/);
});

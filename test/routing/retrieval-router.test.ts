import { afterAll, expect, test } from "vitest";
import { at } from "../../src/core/at.js";
import { createRandom, hashText } from "../../src/core/random.js";
import { fitAdjustment } from "../../src/routing/adjustment.js";
import { chooseAdjustment } from "../../src/routing/choose-adjustment.js";
import { createEmbedder } from "../../src/routing/embedder.js";
import { describeKeyEncoder } from "../../src/routing/key-encoder.js";
import { makeKeys } from "../../src/routing/make-keys.js";
import { measureRetrieval } from "../../src/routing/retrieval-accuracy.js";
import { createRetrievalRouter, type ExpertVectors } from "../../src/routing/retrieval-router.js";
import type { RoutingText } from "../../src/routing/text-format.js";
import { openDevice } from "../../src/runtime/node/open-device.js";

const device = await openDevice({ threads: 1 });
afterAll(() => device.close());

const WIDTH = 12;
const pooled: string[] = [];

/**
 * Stands for an encoder: vectors that all lean one way, far; what a text's task (its first word) adds is small and in columns of little spread,
 * as with states of a language model.
 */
const encoder = {
  identity: { id: "fake/mean/16", width: WIDTH, hash: "c".repeat(64) },
  pool: async (texts: readonly string[]): Promise<Float32Array> => {
    pooled.push(...texts);
    const vectors = new Float32Array(texts.length * WIDTH);
    texts.forEach((text, row) => {
      const random = createRandom(hashText(text));
      const task = createRandom(hashText(/Instance: (\w+)/.exec(text)?.[1] ?? ""));
      for (let column = 0; column < WIDTH; column++) {
        const spread = column < 3 ? 4 : 0.05;
        vectors[row * WIDTH + column] = 10 + spread * random.nextNormal() + (column < 3 ? 0 : 0.1 * task.nextNormal());
      }
    });
    return vectors;
  },
};
const keyEncoder = describeKeyEncoder(encoder.identity, "choice_instance");
const TASKS = ["sort", "count", "translate", "judge", "name"];
const textsOf = (task: string, count: number, from = 0): RoutingText[] =>
  Array.from({ length: count }, (_, index) => ({ input: `${task} number ${from + index}`, choices: ["a", "b"] }));

async function expertsOf(tasks: readonly string[]): Promise<ExpertVectors[]> {
  const experts: ExpertVectors[] = [];
  for (const id of tasks) {
    const { keys } = await makeKeys({ encoder, format: keyEncoder.format, texts: textsOf(id, 150) });
    experts.push({ id, keys });
  }
  return experts;
}

test("keys are a seeded sample of 100 training inputs, written in the format; fewer are all taken", async () => {
  pooled.length = 0;
  const made = await makeKeys({ encoder, format: "choice_instance", texts: textsOf("sort", 150) });
  expect(made.sampled.length).toBe(100);
  expect(made.keys.length).toBe(100 * WIDTH);
  expect(made.texts[0]).toBe(`Answer Choices: a ||| b, Instance: sort number ${made.sampled[0]}`);
  expect(pooled).toEqual(made.texts);
  expect((await makeKeys({ encoder, format: "choice_instance", texts: textsOf("sort", 150) })).sampled).toEqual(
    made.sampled,
  );
  expect((await makeKeys({ encoder, format: "choice_instance", texts: textsOf("sort", 7) })).sampled).toEqual([
    0, 1, 2, 3, 4, 5, 6,
  ]);
  await expect(makeKeys({ encoder, format: "choice_instance", texts: [] })).rejects.toThrow(/got 0 inputs/);
});

test("a router finds what the formula says: the nearest key's expert, by query and by vote", async () => {
  const experts = await expertsOf(TASKS);
  const vectors = Float32Array.from(experts.flatMap(({ keys }) => [...keys]));
  const embedder = createEmbedder(encoder, await fitAdjustment("centred", { vectors, dimension: WIDTH }));
  await using router = await createRetrievalRouter({ device, embedder, experts, keyEncoder });
  const queries = textsOf("judge", 40, 1000);
  const each = await router.routeEach(queries);
  // The slow way, over experts in the order of their ids.
  const embedded = await embedder.embed(queries.map(({ input }) => `Answer Choices: a ||| b, Instance: ${input}`));
  const sorted = [...experts].sort((left, right) => (left.id < right.id ? -1 : 1));
  each.forEach((routing, query) => {
    const vector = embedded.subarray(query * WIDTH, (query + 1) * WIDTH);
    let best = { expert: "", key: -1, score: Number.NEGATIVE_INFINITY };
    for (const { id, keys } of sorted) {
      const finished = embedder.finish(keys);
      for (let key = 0; key < keys.length / WIDTH; key++) {
        const score = vector.reduce((sum, value, column) => sum + value * at(finished, key * WIDTH + column), 0);
        if (score > best.score) best = { expert: id, key, score };
      }
    }
    expect(routing.trace).toEqual([{ query, nearest: [best] }]);
    expect(routing.experts).toEqual([{ id: best.expert, weight: 1 }]);
  });
  const task = await router.routeTask(queries);
  expect(task.trace.length).toBe(32);
  for (const { query, nearest } of task.trace) {
    expect(nearest[0]?.expert).toBe(each[query]?.experts[0]?.id);
  }
  // Whatever the order in which a store lists experts.
  await using other = await createRetrievalRouter({ device, embedder, experts: [...experts].reverse(), keyEncoder });
  expect(await other.routeTask(queries)).toEqual(task);
});

test("one training input under two experts: the tie goes to the first id", async () => {
  const keys = await encoder.pool(["Answer Choices: None, Instance: same"]);
  const embedder = createEmbedder(encoder);
  const experts = ["z", "m", "a"].map((id) => ({ id, keys }));
  await using router = await createRetrievalRouter({ device, embedder, experts, keyEncoder, vote: { neighbours: 2 } });
  const { ranking, trace } = await router.routeTask([{ input: "same" }]);
  expect(trace[0]?.nearest.map(({ expert }) => expert)).toEqual(["a", "m"]);
  expect(trace[0]?.nearest[0]?.score).toBeCloseTo(1, 6);
  expect(ranking).toEqual([
    { id: "a", votes: 1 },
    { id: "m", votes: 1 },
  ]);
});

test("one expert always answers; none, other encoders, and keys with NaN are refused", async () => {
  const embedder = createEmbedder(encoder);
  const [sort] = await expertsOf(["sort"]);
  if (sort === undefined) throw new Error("no expert");
  const open = (experts: readonly ExpertVectors[], record = keyEncoder) =>
    createRetrievalRouter({ device, embedder, experts, keyEncoder: record });
  await using router = await open([sort]);
  expect((await router.routeTask([{ input: "anything" }])).experts).toEqual([{ id: "sort", weight: 1 }]);
  await expect(open([])).rejects.toThrow(/expected at least one expert with keys, got none/);
  await expect(open([{ id: "empty", keys: new Float32Array() }])).rejects.toThrow(/"empty": expected at least one key/);
  await expect(open([sort], { ...keyEncoder, hash: "d".repeat(64) })).rejects.toMatchObject({ code: "mismatch" });
  const broken = sort.keys.slice();
  broken[3] = Number.NaN;
  await expect(open([{ id: "broken", keys: broken }])).rejects.toThrow(/"broken": .* 0: expected finite/);
  await expect(open([{ id: "short", keys: sort.keys.subarray(1) }])).rejects.toThrow(
    /"short": expected keys of 12 numbers/,
  );
});

test("the adjustment under which seen tasks find their experts is chosen", async () => {
  const experts = await expertsOf(TASKS);
  const tasks = TASKS.map((expert) => ({ expert, texts: textsOf(expert, 40, 1000) }));
  const { adjustment, accuracies } = await chooseAdjustment({ device, encoder, keyEncoder, experts, tasks });
  expect(adjustment.kind).toBe("whitened");
  const { none, whitened } = accuracies;
  if (none === undefined || whitened === undefined) throw new Error("expected both to be tried");
  expect(whitened.byText).toBeGreaterThan(0.8);
  expect(whitened.byTask).toBe(1);
  expect(whitened.byText).toBeGreaterThan(none.byText + 0.2);
  const own = whitened.tasks[0];
  expect(own?.routedTo[0]).toEqual({ id: "sort", queries: own?.correct });
  // Keys under wrong names are chance or worse: here always worse, as none is right.
  const embedder = createEmbedder(encoder, adjustment);
  const moved = experts.map(({ keys }, index) => ({ id: at(TASKS, (index + 1) % TASKS.length), keys }));
  await using wrong = await createRetrievalRouter({ device, embedder, experts: moved, keyEncoder });
  expect((await measureRetrieval(wrong, tasks)).byText).toBeLessThan(0.1);
});

test("where all texts find their expert as they are, no adjustment is made", async () => {
  const experts = [{ id: "only", keys: await encoder.pool(["Answer Choices: None, Instance: same"]) }];
  const tasks = [{ expert: "only", texts: [{ input: "other" }] }];
  const { adjustment, accuracies } = await chooseAdjustment({ device, encoder, keyEncoder, experts, tasks });
  expect(adjustment.kind).toBe("none");
  expect(Object.keys(accuracies)).toEqual(["none"]);
  const nothing = chooseAdjustment({ device, encoder, keyEncoder, experts: await expertsOf(TASKS), tasks: [] });
  await expect(nothing).rejects.toThrow(/expected texts of at least one seen task/);
});

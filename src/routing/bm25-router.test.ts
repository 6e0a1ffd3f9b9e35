import fc from "fast-check";
import { expect, test } from "vitest";
import { generatedTasks, generateSplits } from "../tasks/generated/index.js";
import { renderExample } from "../tasks/template.js";
import { createBm25 } from "./bm25.js";
import { createBm25Router, type ExpertTexts } from "./bm25-router.js";
import { measureRetrieval } from "./retrieval-accuracy.js";
import { formatText, type RoutingText, routingTextOf } from "./text-format.js";

const plain = (...inputs: readonly string[]): RoutingText[] => inputs.map((input) => ({ input }));

/** Three experts, listed in no order. */
const experts: readonly ExpertTexts[] = [
  { id: "news", texts: plain("the minister spoke to the press", "markets fell after the vote") },
  { id: "food", texts: plain("the soup was cold", "a lovely cake and good tea", "the waiter spilled soup") },
  { id: "maths", texts: plain("add three and five", "what is seven times six") },
];

test("the nearest key decides, and the trace names it", async () => {
  const router = createBm25Router({ experts, format: "instance_new" });
  const routing = await router.routeTask(plain("cold soup again", "times and times again", "the soup"));
  expect(routing.experts).toEqual([{ id: "food", weight: 1 }]);
  expect(routing.ranking).toEqual([
    { id: "food", votes: 2 },
    { id: "maths", votes: 1 },
  ]);
  expect(routing.trace[0]).toMatchObject({ query: 0, nearest: [{ expert: "food", key: 0 }] });
  expect(routing.trace[1]).toMatchObject({ query: 1, nearest: [{ expert: "maths", key: 1 }] });
});

test("equal scores: the first in the order of ids and keys, however experts are listed", async () => {
  const twins = [
    { id: "b", texts: plain("red apple", "red apple", "x y") },
    { id: "a", texts: plain("q r", "red apple") },
  ];
  for (const listed of [twins, [...twins].reverse()]) {
    const router = createBm25Router({ experts: listed, format: "instance_new", vote: { neighbours: 3 } });
    const [routing] = await router.routeEach(plain("apple"));
    expect(routing?.trace[0]?.nearest.map(({ expert, key }) => `${expert}${key}`)).toEqual(["a1", "b0", "b1"]);
    expect(routing?.experts).toEqual([{ id: "b", weight: 1 }]);
  }
});

test("nearest keys are those of a full sort of all scores", async () => {
  const word = fc.constantFrom("red", "green", "blue", "apple", "pear", "nut");
  const text = fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join(" "));
  const property = fc.asyncProperty(
    fc.array(text, { minLength: 2, maxLength: 12 }),
    text,
    fc.integer({ min: 1, max: 14 }),
    async (keys, query, neighbours) => {
      const owned = keys.map((key, index) => ({ id: `e${String(index).padStart(2, "0")}`, texts: plain(key) }));
      const router = createBm25Router({ experts: owned, vote: { neighbours } });
      const scores = createBm25(keys.map((input) => formatText({ input }, "choice_instance"))).scores(
        formatText({ input: query }, "choice_instance"),
      );
      const expected = [...scores.keys()]
        .sort((left, right) => (scores[right] ?? 0) - (scores[left] ?? 0) || left - right)
        .slice(0, neighbours);
      const [routing] = await router.routeEach(plain(query));
      expect(routing?.trace[0]?.nearest.map(({ expert }) => Number(expert.slice(1)))).toEqual(expected);
    },
  );
  await fc.assert(property, { numRuns: 60 });
});

test("one expert always answers; none, one without texts and one listed twice are refused", async () => {
  const [news] = experts;
  const router = createBm25Router({ experts: news === undefined ? [] : [news] });
  expect((await router.routeTask(plain("qwertz"))).experts).toEqual([{ id: "news", weight: 1 }]);
  expect(() => createBm25Router({ experts: [] })).toThrow(/expected at least one expert with keys, got none/);
  expect(() => createBm25Router({ experts: [...experts, { id: "empty", texts: [] }] })).toThrow(/"empty": expected/);
  expect(() => createBm25Router({ experts: [...experts, ...experts] })).toThrow(/got "food" twice/);
});

test("a signal that has fired stops routing", async () => {
  const router = createBm25Router({ experts });
  await expect(router.routeEach(plain("soup"), { signal: AbortSignal.abort() })).rejects.toThrow(/aborted/);
});

test("generated tasks find their own expert by words; shuffled targets change no route", async () => {
  const seen = generatedTasks
    .filter(({ role }) => role === "training")
    .slice(0, 12)
    .map((task) => {
      const splits = generateSplits(task, { seed: 1, train: 60, validation: 0, test: 20 });
      const [template = ""] = task.templates;
      const textsOf = (split: "train" | "test", rotate: number): RoutingText[] => {
        const { instances } = splits[split];
        // Answers of other instances: nothing may depend on them.
        const targets = instances.map((_, index) => instances[(index + rotate) % instances.length]?.targets ?? []);
        return instances.map((instance, index) =>
          routingTextOf(renderExample(task, { ...instance, targets: targets[index] ?? [] }, template)),
        );
      };
      return { expert: task.name, keys: textsOf("train", 0), texts: textsOf("test", 0), shuffled: textsOf("test", 7) };
    });
  const router = createBm25Router({ experts: seen.map(({ expert, keys }) => ({ id: expert, texts: keys })) });
  const accuracy = await measureRetrieval(router, seen);
  expect(accuracy.tasks.length).toBe(12);
  expect(accuracy.byTask).toBeGreaterThan(0.9);
  expect(accuracy.byText).toBeGreaterThan(0.8);
  for (const { texts, shuffled } of seen) {
    expect(JSON.stringify(await router.routeTask(shuffled))).toBe(JSON.stringify(await router.routeTask(texts)));
  }
  // Keys of one expert under the name of another: what is measured is retrieval, not luck.
  const swapped = createBm25Router({
    experts: seen.map(({ expert }, index) => ({ id: expert, texts: seen[(index + 1) % seen.length]?.keys ?? [] })),
  });
  expect((await measureRetrieval(swapped, seen)).byText).toBeLessThan(0.2);
});

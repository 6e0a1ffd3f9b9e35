import fc from "fast-check";
import { expect, test } from "vitest";
import type { RoutingText } from "./text-format.js";
import { countVotes, createVotingRouter, type VoteOptions } from "./vote.js";

/** A trace in which each query's nearest keys belong to these experts. */
const traceOf = (...nearest: readonly (readonly string[])[]) =>
  nearest.map((experts, query) => ({
    query,
    nearest: experts.map((expert, key) => ({ expert, key, score: 1 - key / 10 })),
  }));

test("the expert with most votes wins, and of equal ones the one voted for first", () => {
  expect(countVotes(traceOf(["b"], ["a"], ["a"]), 1).experts).toEqual([{ id: "a", weight: 1 }]);
  const tied = countVotes(traceOf(["b"], ["a"], ["c"], ["c"], ["a"], ["b"]), 1);
  expect(tied.ranking).toEqual([
    { id: "b", votes: 2 },
    { id: "a", votes: 2 },
    { id: "c", votes: 2 },
  ]);
  expect(tied.experts).toEqual([{ id: "b", weight: 1 }]);
  // Within a query, nearness decides who is first.
  expect(countVotes(traceOf(["b", "a"], ["a", "b"]), 1).ranking[0]?.id).toBe("b");
});

test("several experts share the weight by their votes", () => {
  const trace = traceOf(["a"], ["b"], ["a"], ["a"], ["c"], ["d"]);
  expect(countVotes(trace, 2).experts).toEqual([
    { id: "a", weight: 0.75 },
    { id: "b", weight: 0.25 },
  ]);
  expect(countVotes(trace, 9).experts.map(({ id }) => id)).toEqual(["a", "b", "c", "d"]);
});

test("votes are counted as a plain count does, for every trace", () => {
  const query = fc.array(fc.constantFrom("a", "b", "c", "d"), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.array(query, { minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 5 }), (queries, most) => {
      const { ranking, experts, trace } = countVotes(traceOf(...queries), most);
      const flat: readonly string[] = queries.flat();
      expect(trace.length).toBe(queries.length);
      expect(ranking.length).toBe(new Set(flat).size);
      for (const [place, { id, votes }] of ranking.entries()) {
        expect(votes).toBe(flat.filter((expert) => expert === id).length);
        const next = ranking[place + 1];
        if (next === undefined) continue;
        const inOrder = votes > next.votes || (votes === next.votes && flat.indexOf(id) < flat.indexOf(next.id));
        expect(inOrder).toBe(true);
      }
      expect(experts.map(({ id }) => id)).toEqual(ranking.slice(0, most).map(({ id }) => id));
      expect(experts.reduce((sum, { weight }) => sum + weight, 0)).toBeCloseTo(1, 12);
    }),
  );
});

/** A router that sends a text to the expert of its name, and the lists of texts it was asked for. */
function echo(vote: VoteOptions = {}) {
  const asked: string[][] = [];
  const router = createVotingRouter({
    format: "instance_new",
    vote,
    find: async (texts) => {
      asked.push([...texts]);
      return texts.map((text) => [{ expert: text, key: 0, score: 1 }]);
    },
  });
  return { asked, router };
}

test("a task's vote is held among 32 texts drawn by seed, in their order; fewer all vote", async () => {
  const texts = Array.from({ length: 100 }, (_, index): RoutingText => ({ input: `e${index}` }));
  const { router, asked } = echo();
  const { trace } = await router.routeTask(texts);
  const queries = trace.map(({ query }) => query);
  expect(queries.length).toBe(32);
  expect(queries).toEqual([...new Set(queries)].sort((left, right) => left - right));
  expect(asked).toEqual([queries.map((query) => `e${query}`)]);
  expect(Math.max(...queries)).toBeGreaterThan(50);
  expect((await router.routeTask(texts)).trace).toEqual(trace);
  const other = await echo({ seed: 7 }).router.routeTask(texts);
  expect(other.trace).not.toEqual(trace);
  expect((await router.routeTask(texts.slice(0, 5))).trace.map(({ query }) => query)).toEqual([0, 1, 2, 3, 4]);
  expect((await echo({ queries: 3 }).router.routeTask(texts)).trace.length).toBe(3);
});

test("each text alone has a routing of its own, whatever the others are", async () => {
  const { router } = echo();
  const routings = await router.routeEach([{ input: "a" }, { input: "b" }, { input: "a" }]);
  expect(routings.map(({ experts }) => experts[0]?.id)).toEqual(["a", "b", "a"]);
  expect(routings[2]?.trace[0]?.query).toBe(2);
  expect(await router.routeEach([])).toEqual([]);
});

test("no texts, and counts below 1, are refused", async () => {
  await expect(echo().router.routeTask([])).rejects.toThrow(/expected at least one text/);
  for (const vote of [{ neighbours: 0 }, { experts: 1.5 }, { queries: -1 }]) {
    expect(() => echo(vote)).toThrow(/expected a whole number of 1 or more/);
  }
});

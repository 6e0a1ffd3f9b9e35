import fc from "fast-check";
import { expect, test } from "vitest";
import { mergeStreams } from "./merge-streams.js";

/** A stream of numbers, each after a turn of the event loop; counts how often it was ended. */
function numbers(count: number, ended: { count: number }, failAt = Number.POSITIVE_INFINITY) {
  return (async function* () {
    try {
      for (let value = 0; value < count; value += 1) {
        await new Promise((resolve) => setImmediate(resolve));
        if (value === failAt) throw new Error(`failed at ${value}`);
        yield value;
      }
    } finally {
      ended.count += 1;
    }
  })();
}

test("all values come, each stream's in its order, and every stream is ended", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(6), { maxLength: 6 }), async (counts) => {
      const ended = { count: 0 };
      const seen = counts.map((): number[] => []);
      for await (const { stream, value } of mergeStreams(counts.map((count) => numbers(count, ended)))) {
        seen[stream]?.push(value);
      }
      expect(seen).toEqual(counts.map((count) => Array.from({ length: count }, (_, value) => value)));
      expect(ended.count).toBe(counts.length);
    }),
    { numRuns: 30 },
  );
});

test("a stream that never pauses does not keep the others waiting", async () => {
  const order: number[] = [];
  const ended = { count: 0 };
  for await (const { stream } of mergeStreams([numbers(5, ended), numbers(5, ended)])) order.push(stream);
  expect(order.slice(0, 4).toSorted()).toEqual([0, 0, 1, 1]);
});

test.each(["a failure", "a reader that leaves"])("%s ends all streams", async (how) => {
  const ended = { count: 0 };
  const streams = [numbers(100, ended), numbers(100, ended, how === "a failure" ? 2 : undefined), numbers(100, ended)];
  const read = async (): Promise<void> => {
    let count = 0;
    for await (const _ of mergeStreams(streams)) {
      count += 1;
      if (how !== "a failure" && count === 5) break;
    }
  };
  if (how === "a failure") await expect(read()).rejects.toThrow("failed at 2");
  else await read();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(ended.count).toBe(3);
});

import { expect, test } from "vitest";
import { createBatcher } from "./batcher.js";

/** Answers with the doubled number when told to go on; tells what it was given. */
function doubling({ most = 4 }: { readonly most?: number } = {}) {
  const batches: (readonly number[])[] = [];
  const signals: AbortSignal[] = [];
  const gates: (() => void)[] = [];
  const batcher = createBatcher<number, number>({
    most,
    answer: async (items, signal) => {
      batches.push(items);
      signals.push(signal);
      await new Promise<void>((resolve) => gates.push(resolve));
      if (items.includes(13)) throw new Error("unlucky");
      return items.map((item) => 2 * item);
    },
  });
  const nextTurn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));
  const goOn = async (): Promise<void> => {
    await nextTurn();
    gates.shift()?.();
    await nextTurn();
  };
  return { batcher, batches, signals, goOn, nextTurn };
}

test("calls of one turn share a batch, and those that come meanwhile the next ones", async () => {
  const { batcher, batches, goOn, nextTurn } = doubling();
  const first = [1, 2].map((item) => batcher.add(item));
  await nextTurn();
  const later = [3, 4, 5, 6, 7].map((item) => batcher.add(item));
  for (let batch = 0; batch < 3; batch++) await goOn();
  expect(await Promise.all([...first, ...later])).toEqual([2, 4, 6, 8, 10, 12, 14]);
  expect(batches).toEqual([[1, 2], [3, 4, 5, 6], [7]]);
  // It was idle.
  const last = batcher.add(8);
  await goOn();
  expect(await last).toBe(16);
});

test("a failure is that of its batch only", async () => {
  const { batcher, goOn } = doubling({ most: 2 });
  const all = Promise.allSettled([1, 13, 3].map((item) => batcher.add(item)));
  await goOn();
  await goOn();
  expect((await all).map(({ status }) => status)).toEqual(["rejected", "rejected", "fulfilled"]);
});

test("one that leaves while it waits is not answered; a batch is stopped when all of it have left", async () => {
  const { batcher, batches, signals, goOn, nextTurn } = doubling();
  const aborts = [1, 2, 3].map(() => new AbortController());
  const [one, two, three] = aborts.map(({ signal }, index) => batcher.add(index + 1, { signal }));
  aborts[0]?.abort();
  await expect(one).rejects.toMatchObject({ code: "aborted" });
  await nextTurn();
  expect(batches).toEqual([[2, 3]]);
  aborts[1]?.abort();
  await expect(two).rejects.toMatchObject({ code: "aborted" });
  expect(signals[0]?.aborted).toBe(false);
  aborts[2]?.abort();
  await expect(three).rejects.toMatchObject({ code: "aborted" });
  expect(signals[0]?.aborted).toBe(true);
  await goOn();
  await expect(batcher.add(4, aborts[0])).rejects.toMatchObject({ code: "aborted" });
});

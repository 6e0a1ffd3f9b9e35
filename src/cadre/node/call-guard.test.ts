import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { createCallGuard } from "./call-guard.js";

const listenersOf = ({ signal }: AbortController): number => getEventListeners(signal, "abort").length;
/** Work that ends only when it is told to. */
const untilTold = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));

test("calls that share a signal share a listener, which goes with the last of them", async () => {
  const guard = createCallGuard();
  const shared = new AbortController();
  const gates: (() => void)[] = [];
  const calls = Array.from({ length: 50 }, (_, index) =>
    guard.run(async () => {
      await new Promise<void>((resolve) => gates.push(resolve));
      if (index === 7) throw new Error("unlucky");
      return index;
    }, shared.signal),
  );
  const all = Promise.allSettled(calls);
  expect(listenersOf(shared)).toBe(1);
  gates.shift()?.();
  expect(await calls[0]).toBe(0);
  await new Promise((resolve) => setImmediate(resolve));
  expect(listenersOf(shared)).toBe(1);
  for (const open of gates) open();
  expect((await all).filter(({ status }) => status === "fulfilled")).toHaveLength(49);
  await new Promise((resolve) => setImmediate(resolve));
  expect(listenersOf(shared)).toBe(0);
  // It serves again.
  expect(await guard.run(async () => "later", shared.signal)).toBe("later");
});

test("a signal ends all its calls and no others, and they are told", async () => {
  const guard = createCallGuard();
  const [shared, other] = [new AbortController(), new AbortController()];
  const told: unknown[] = [];
  const telling = (signal: AbortSignal): Promise<never> => {
    signal.addEventListener("abort", () => told.push(signal.reason));
    return untilTold(signal);
  };
  const ended = Array.from({ length: 20 }, () => guard.run(telling, shared.signal));
  const left = guard.run(untilTold, other.signal);
  shared.abort(new Error("enough"));
  for (const call of ended) {
    await expect(call).rejects.toMatchObject({ code: "aborted", cause: { message: "enough" } });
  }
  expect(told).toHaveLength(20);
  expect(listenersOf(shared)).toBe(0);
  expect(listenersOf(other)).toBe(1);
  await expect(guard.run(untilTold, shared.signal)).rejects.toMatchObject({ code: "aborted" });
  guard.close();
  await expect(left).rejects.toMatchObject({ code: "closed" });
  await new Promise((resolve) => setImmediate(resolve));
  expect(listenersOf(other)).toBe(0);
  await expect(guard.run(async () => 1)).rejects.toMatchObject({ code: "closed" });
});

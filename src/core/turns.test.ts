import { expect, test } from "vitest";
import { createTurns } from "./turns.js";

test("work is done in order, one at a time, and a failure is its own caller's only", async () => {
  const turns = createTurns();
  const log: string[] = [];
  const work = (name: string, fails = false) =>
    turns.run(async () => {
      log.push(`${name} begins`);
      await new Promise((resolve) => setTimeout(resolve, 2));
      log.push(`${name} ends`);
      if (fails) throw new Error(name);
      return name;
    });
  const results = await Promise.allSettled([work("first"), work("second", true), work("third")]);
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(log).toEqual(["first", "second", "third"].flatMap((name) => [`${name} begins`, `${name} ends`]));
});

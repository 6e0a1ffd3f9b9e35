import { expect, test } from "vitest";
import { createProgramCache } from "./program-cache.js";

test("keeps what was used last, compiles what is not there, and closes all", async () => {
  const compiled: string[] = [];
  const closed: string[] = [];
  const cache = createProgramCache<string>({ most: 2, close: async (entry) => void closed.push(entry) });
  const use = (key: string) =>
    cache.get(key, async () => {
      compiled.push(key);
      return key;
    });
  for (const key of ["a", "b", "a", "c", "a", "b"]) {
    expect(await use(key)).toBe(key);
  }
  expect(compiled).toEqual(["a", "b", "c", "b"]);
  expect(closed).toEqual(["b", "c"]);
  await cache.close();
  expect(closed.slice(2).sort()).toEqual(["a", "b"]);
});

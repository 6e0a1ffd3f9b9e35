import { expect, test } from "vitest";
import type { AnswerGroup } from "../answer-group.js";
import { createLanes } from "./lanes.js";

const fullGroup = (key: string): AnswerGroup => ({ key, kind: "full" }) as AnswerGroup;

async function closedAfter(modelBytes: number, uses: readonly string[]): Promise<string[]> {
  const closed: string[] = [];
  const lanes = createLanes({
    open: ({ key }) => ({
      close: async () => {
        closed.push(key);
      },
    }),
    modelBytes,
  });
  for (const key of uses) await lanes.use(fullGroup(key), async () => undefined);
  return closed;
}

test("as many whole models are kept as fit into half a gigabyte, the last used, and two however large they are", async () => {
  const uses = ["a", "b", "c", "a", "d"];
  expect(await closedAfter(35e6, uses)).toEqual([]);
  expect(await closedAfter(170e6, uses)).toEqual(["b"]);
  expect(await closedAfter(1e12, uses)).toEqual(["a", "b", "c"]);
});

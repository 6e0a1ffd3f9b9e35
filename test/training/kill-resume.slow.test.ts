import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createRandom } from "../../src/core/random.js";
import { type Outcome, outcomeOf, runChild, trainKilled } from "./kill-resume.js";

const slow = process.env.CADRE_TESTS === "slow";
const KILLS = 60;

let root = "";
let rounds = 0;
let expected: Outcome;
const newFolder = (): string => join(root, String(++rounds));

beforeAll(async () => {
  if (slow) {
    root = await mkdtemp(join(tmpdir(), "cadre-kill-"));
    const folder = newFolder();
    await runChild(folder, { stepsPerRun: 1, threads: 1 });
    expected = await outcomeOf(folder);
  }
});
afterAll(() => (root === "" ? undefined : rm(root, { recursive: true, force: true })));

test.skipIf(!slow)("without kills, 1 or 4 steps a run and 1 or 2 threads make no difference", async () => {
  for (const stepsPerRun of [1, 4]) {
    for (const threads of [1, 2]) {
      const folder = newFolder();
      await runChild(folder, { stepsPerRun, threads });
      expect(await outcomeOf(folder)).toEqual(expected);
    }
  }
});

test.skipIf(!slow)(
  `${KILLS} kills at random points of time and of saves change no bit`,
  async () => {
    const random = createRandom(Date.now() % 2 ** 32);
    const all = new Map<string, number>();
    const count = (): number => [...all.values()].reduce((sum, kills) => sum + kills, 0);
    while (count() < KILLS) {
      let attempts = 0;
      const { outcome, kills } = await trainKilled(newFolder(), () => {
        if (++attempts > 12) {
          return undefined;
        }
        return attempts % 2 === 0
          ? { kind: "time", milliseconds: random.nextFloat() * 250 }
          : { kind: "save", which: 1 + random.nextInteger(4), milliseconds: random.nextFloat() ** 3 * 8 };
      });
      expect(outcome).toEqual(expected);
      for (const [left, number] of kills) {
        all.set(left, (all.get(left) ?? 0) + number);
      }
    }
    console.info(`${count()} kills in ${rounds} trainings left:`, Object.fromEntries(all));
  },
  900_000,
);

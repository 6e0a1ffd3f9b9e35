import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createRandom } from "../../src/core/random.js";
import { type KillPoint, leftoversOf, type Outcome, outcomeOf, runChild } from "./kill-resume.js";

const slow = process.env.CADRE_TESTS === "slow";
const K_RUNS = { stepsPerRun: 4, threads: 2 };

let root = "";
let rounds = 0;
let expected: Outcome;
const newFolder = (): string => join(root, String(++rounds));

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "cadre-kill-"));
  const folder = newFolder();
  await runChild(folder, { stepsPerRun: 1, threads: 1 });
  expected = await outcomeOf(folder);
  expect(expected.metrics.filter(({ type }) => type === "step-end")).toHaveLength(46);
  expect(expected.metrics.at(-1)?.truncatedExamples).toBeGreaterThan(10);
  const bests = expected.metrics.filter(({ type, best }) => type === "validation-end" && best);
  expect(bests.length).toBeGreaterThan(1);
  expect(bests.at(-1)?.step).toBeLessThan(46);
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Trains from nothing to the end with kills wherever `next` says. @returns how many there were, by what they left. */
async function trainKilled(next: () => KillPoint | undefined): Promise<Map<string, number>> {
  const folder = newFolder();
  const kills = new Map<string, number>();
  for (;;) {
    const kill = next();
    if (!(await runChild(folder, kill === undefined ? K_RUNS : { ...K_RUNS, kill }))) {
      break;
    }
    const left = `${kill?.kind}: ${await leftoversOf(folder)}`;
    kills.set(left, (kills.get(left) ?? 0) + 1);
  }
  expect(await outcomeOf(folder)).toEqual(expected);
  await rm(folder, { recursive: true });
  return kills;
}

test("a training killed in its steps and in a save repeats the uninterrupted one, bit for bit, in other runs and threads", async () => {
  const points: KillPoint[] = [
    { kind: "save", which: 3, milliseconds: 0.5 },
    { kind: "time", milliseconds: 20 },
  ];
  const kills = await trainKilled(() => points.shift());
  expect(kills.size).toBeGreaterThan(0);
});

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
  "60 kills at random points of time and of saves change no bit",
  async () => {
    const random = createRandom(Date.now() % 2 ** 32);
    const all = new Map<string, number>();
    const count = (): number => [...all.values()].reduce((sum, kills) => sum + kills, 0);
    while (count() < 60) {
      let attempts = 0;
      const kills = await trainKilled(() => {
        if (++attempts > 12) {
          return undefined;
        }
        return attempts % 2 === 0
          ? { kind: "time", milliseconds: random.nextFloat() * 250 }
          : { kind: "save", which: 1 + random.nextInteger(4), milliseconds: random.nextFloat() ** 3 * 8 };
      });
      for (const [left, number] of kills) {
        all.set(left, (all.get(left) ?? 0) + number);
      }
    }
    console.info(`${count()} kills in ${rounds} trainings left:`, Object.fromEntries(all));
  },
  900_000,
);

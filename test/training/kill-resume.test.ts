import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type KillPoint, outcomeOf, runChild, trainKilled } from "./kill-resume.js";

test("a training killed in a save and in its steps repeats the uninterrupted one, bit for bit, in other runs and threads", async () => {
  const root = await mkdtemp(join(tmpdir(), "cadre-kill-"));
  try {
    await runChild(join(root, "whole"), { stepsPerRun: 1, threads: 1 });
    const expected = await outcomeOf(join(root, "whole"));
    // The training holds what a resume could lose.
    expect(expected.metrics.filter(({ type }) => type === "step-end")).toHaveLength(46);
    expect(expected.metrics.at(-1)?.truncatedExamples).toBeGreaterThan(10);
    const bests = expected.metrics.filter(({ type, best }) => type === "validation-end" && best);
    expect(bests.length).toBeGreaterThan(1);
    expect(bests.at(-1)?.step).toBeLessThan(46);

    const points: KillPoint[] = [
      { kind: "save", which: 4, milliseconds: 0.5 },
      { kind: "time", milliseconds: 20 },
      // After the best validation, of which a later process learns from the checkpoint alone.
      { kind: "save", which: 7, milliseconds: 1 },
    ];
    const { kills, outcome } = await trainKilled(join(root, "killed"), () => points.shift());
    expect(kills.size).toBeGreaterThan(1);
    expect(outcome).toEqual(expected);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});

import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Device } from "../runtime/device.js";
import { openDevice } from "../runtime/node/open-device.js";
import { type CardRunProgress, studyBaseCard } from "./base-card.js";
import { cardRecipe } from "./base-card-result.js";
import { openTinyBase } from "./node/tiny-base.test.helpers.js";

let device: Device;
let folder = "";

beforeAll(async () => {
  device = await openDevice({ threads: 1 });
  folder = await mkdtemp(join(tmpdir(), "cadre-base-card-"));
  await mkdir(join(folder, "sst2"));
  await writeFile(join(folder, "sst2", "labels.json"), JSON.stringify(["Good", "Bad"]));
  await writeFile(join(folder, "sst2", "train.json"), rows(230, "train"));
  await writeFile(join(folder, "sst2", "test.json"), rows(20, "test"));
});
afterAll(async () => {
  await device.close();
  await rm(folder, { recursive: true, force: true });
});

/** Texts of letters, good where they begin with an `a`. */
function rows(count: number, split: string): string {
  const Instances = Array.from({ length: count }, (_, row) => ({
    input: `${row % 2 === 0 ? "a" : "b"} ${split} ${row}`,
    output: row % 2 === 0 ? "Good" : "Bad",
  }));
  return JSON.stringify({ Definition: ["Good or bad?"], Instances });
}

async function study(seed: number): Promise<{ readonly runs: CardRunProgress[]; readonly report: unknown }> {
  await using tiny = await openTinyBase(seed);
  const runs: CardRunProgress[] = [];
  const report = await studyBaseCard({
    device,
    base: tiny.base,
    tokenizer: tiny.tokenizer,
    dataFolder: folder,
    resultsFolder: join(folder, `weights-${seed}`),
    anyWeightsResultsFolder: join(folder, "any-weights"),
    recipe: { ...cardRecipe, steps: [1, 2] },
    sets: ["sst2"],
    part: { number: 0, of: 1 },
    onRun: (run) => runs.push(run),
  });
  return { runs, report: { ...report, createdAt: "" } };
}

test("a study goes on with what is there, and other weights train the expert's arm only", async () => {
  const first = await study(1);
  const arms = ({ runs }: typeof first) => new Set(runs.map(({ arm }) => arm));
  expect(arms(first)).toEqual(
    new Set(["expert on the base", "all weights from random", "adapters on frozen random weights"]),
  );
  // Three rates at the first seed, two more seeds at the one or two that were chosen.
  expect(first.runs.length).toBeGreaterThanOrEqual(15);
  expect(first.runs.length).toBeLessThanOrEqual(21);

  const again = await study(1);
  expect(again.runs).toEqual([]);
  expect(again.report).toEqual(first.report);

  const other = await study(2);
  expect(arms(other)).toEqual(new Set(["expert on the base"]));
  expect(await readdir(join(folder, "weights-2"))).toHaveLength(other.runs.length);
  expect(await readdir(join(folder, "any-weights"))).toContain("sst2 baselines.json");
});

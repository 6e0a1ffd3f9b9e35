import { appendFile, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { StepEndEvent, TrainingEndEvent, TrainingEvent, TrainingStartEvent } from "../events.js";
import { openMetricsFile } from "./metrics-file.js";

let folder = "";
let path = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-metrics-"));
  path = join(folder, "metrics.jsonl");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const start = (step: number): TrainingStartEvent => ({
  type: "training-start",
  step,
  steps: 9,
  parameters: 1,
  trainedParameters: 1,
  flopsPerStep: 1,
  damagedCheckpoints: [],
});
const stepEnd = (step: number): StepEndEvent => ({
  type: "step-end",
  step,
  loss: 1 / step,
  tokenLoss: 1 / step,
  choiceLoss: 0,
  learningRate: 0.1,
  gradientNorm: 1,
  inputTokens: 1,
  targetTokens: 1,
  seconds: 1,
});
const saved = (step: number): TrainingEvent => ({ type: "checkpoint-saved", step, path: "x" });
const end = (step: number, reason: TrainingEndEvent["reason"]): TrainingEndEvent => ({
  type: "training-end",
  step,
  reason,
  seconds: 1,
  truncatedExamples: 0,
  inputTokensCut: 0,
  targetTokensCut: 0,
});

function write(...events: TrainingEvent[]): void {
  using file = openMetricsFile(path);
  for (const event of events) {
    file.onEvent(event);
  }
}

/** `type step` of every line; the header is `cadre-metrics 1`. */
async function lines(): Promise<string[]> {
  const text = await readFile(path, "utf8");
  expect(text.endsWith("\n")).toBe(true);
  return text
    .trimEnd()
    .split("\n")
    .map((line) => {
      const { format, formatVersion, type, step } = JSON.parse(line);
      return `${format ?? type} ${formatVersion ?? step}`;
    });
}

const whole = [
  "cadre-metrics 1",
  "training-start 0",
  "step-end 1",
  "step-end 2",
  "checkpoint-saved 2",
  "step-end 3",
  "step-end 4",
];

test("a training that goes on drops the steps after its checkpoint and reads as one", async () => {
  write(start(0), stepEnd(1), stepEnd(2), saved(2), stepEnd(3), end(3, "aborted"));
  write(start(2), stepEnd(3), stepEnd(4), end(4, "finished"));
  expect(await lines()).toEqual([...whole, "training-end 4"]);
  write(start(4), end(4, "finished"));
  expect(await lines()).toEqual([...whole, "training-end 4"]);
});

test("every place at which a process can be killed leaves a file that goes on", async () => {
  write(start(0), stepEnd(1), stepEnd(2), saved(2), stepEnd(3));
  const full = await readFile(path);
  for (let length = 0; length <= full.length; length++) {
    await writeFile(path, full);
    await truncate(path, length);
    write(start(0), stepEnd(1), stepEnd(2), saved(2), stepEnd(3), stepEnd(4));
    expect(await lines()).toEqual(whole);
  }
  // From the checkpoint's event on, what follows is repeated.
  for (let length = full.indexOf('{"type":"step-end","step":3'); length <= full.length; length++) {
    await writeFile(path, full);
    await truncate(path, length);
    write(start(2), stepEnd(3), stepEnd(4));
    expect(await lines()).toEqual(whole);
  }
});

test("lines that a power failure made unreadable are dropped at the end", async () => {
  write(start(0), stepEnd(1), stepEnd(2), saved(2));
  await appendFile(path, `\0\0\0\n{"type":"step-end","st`);
  write(start(2), stepEnd(3), stepEnd(4));
  expect(await lines()).toEqual(whole);
});

test("a training from step 0 begins the file anew", async () => {
  write(start(0), stepEnd(1));
  write(start(0), stepEnd(1), stepEnd(2));
  expect(await lines()).toEqual(["cadre-metrics 1", "training-start 0", "step-end 1", "step-end 2"]);
});

test("a training that goes on without its old file says where it began", async () => {
  write(start(2), stepEnd(3));
  expect(await lines()).toEqual(["cadre-metrics 1", "training-start 2", "step-end 3"]);
});

test("other files and newer formats are refused and stay as they are", async () => {
  for (const content of ['{"input":"a","target":"b"}\n', "notes", "\n"]) {
    await writeFile(path, content);
    expect(() => openMetricsFile(path)).toThrow(expect.objectContaining({ code: "invalid-file" }));
    expect(await readFile(path, "utf8")).toBe(content);
  }
  await writeFile(path, '{"format":"cadre-metrics","formatVersion":2}\n');
  expect(() => openMetricsFile(path)).toThrow(/version 1 or older, got 2; update cadre/);
  expect(() => openMetricsFile(join(folder, "absent", "m"))).toThrow(expect.objectContaining({ code: "not-found" }));
});

test("a line takes far less than a step, and a closed file is refused", () => {
  const file = openMetricsFile(path);
  file.onEvent(start(0));
  const before = performance.now();
  for (let step = 1; step <= 2000; step++) {
    file.onEvent(stepEnd(step));
  }
  // 5 to 10 µs on a quiet machine.
  expect((performance.now() - before) / 2000).toBeLessThan(1);
  file.close();
  file.close();
  expect(() => file.onEvent(stepEnd(1))).toThrow(expect.objectContaining({ code: "closed" }));
});

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { openDevice } from "./open-device.js";
import { counterModel, floats, productModel, slowModel } from "./tiny-models.test.helpers.js";

const SIZE = 1024;
const slowFeeds = { x: floats([SIZE, SIZE], new Float32Array(SIZE * SIZE).fill(1e-3)) };
const x = floats([1, 2], [1, 1]);

test("threads default to the machine's, and are checked", async () => {
  await using device = await openDevice();
  expect(device.threads).toBeGreaterThanOrEqual(1);
  await expect(openDevice({ threads: 0 })).rejects.toMatchObject({ code: "invalid-argument" });
  await expect(openDevice({ threads: 1.5 })).rejects.toMatchObject({ code: "invalid-argument" });
});

test("a closed program refuses runs; its waiting runs still finish", async () => {
  await using device = await openDevice({ threads: 1 });
  const program = await device.compile(productModel(), { name: "product" });
  const waiting = program.run({ x });
  await program.close();
  await program.close();
  expect((await waiting).committed).toBe(true);
  await expect(program.run({ x })).rejects.toMatchObject({
    code: "closed",
    message: "run(product): expected an open program, this one was closed; compile it again",
  });
});

test("closing a device refuses what waits and what comes later", async () => {
  const device = await openDevice({ threads: 2 });
  const program = await device.compile(slowModel(SIZE));
  const state = await device.createState(new Map());
  const waiting = Promise.allSettled([program.run(slowFeeds), program.run(slowFeeds)]);
  await Promise.all([device.close(), device.close()]);
  for (const result of await waiting) expect(result).toMatchObject({ status: "rejected", reason: { code: "closed" } });
  await expect(program.run(slowFeeds)).rejects.toMatchObject({ code: "closed" });
  await expect(state.read()).rejects.toMatchObject({ code: "closed" });
  await expect(device.compile(productModel())).rejects.toMatchObject({ code: "closed" });
  await expect(device.createState(new Map())).rejects.toMatchObject({ code: "closed" });
  await program.close();
  await state.close();
  await device.close();
});

test("devices stand beside each other and can follow each other", async () => {
  for (let round = 0; round < 3; round++) {
    await using first = await openDevice({ threads: 1 });
    await using second = await openDevice({ threads: 1 });
    const programs = await Promise.all([first.compile(productModel()), second.compile(productModel())]);
    const results = await Promise.all(programs.map((program) => program.run({ x })));
    for (const { outputs } of results) expect(outputs.y).toEqual(floats([1, 2], [4, 6]));
  }
});

test("an aborted run is left out when it waits, and finished when it has started", async () => {
  await using device = await openDevice({ threads: 2 });
  const slow = await device.compile(slowModel(SIZE));
  const counter = await device.compile(counterModel(), { name: "counter", updates: { n: "next" } });
  const state = await device.createState(new Map([["n", floats([1], [0])]]));
  const step = floats([1], [1]);

  const running = new AbortController();
  const first = slow.run(slowFeeds, { signal: running.signal });
  const queued = new AbortController();
  const second = counter.run({ step }, { state, signal: queued.signal });
  const third = counter.run({ step }, { state });
  let firstDone = false;
  void first.then(() => {
    firstDone = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 30));
  running.abort();
  queued.abort(new Error("enough"));
  await expect(second).rejects.toMatchObject({
    code: "aborted",
    message: "run(counter): aborted before it started",
    cause: { message: "enough" },
  });
  expect(firstDone).toBe(false);
  expect((await first).committed).toBe(true);
  await third;
  expect((await state.read()).get("n")).toEqual(floats([1], [1]));

  await expect(counter.run({ step }, { state, signal: queued.signal })).rejects.toMatchObject({ code: "aborted" });
});

test("a worker that ends by itself is reported to what waits and what comes later", async () => {
  let worker: Worker | undefined;
  process.once("worker", (started: Worker) => {
    worker = started;
  });
  const device = await openDevice({ threads: 1 });
  const program = await device.compile(productModel());
  const state = await device.createState(new Map());
  // Many, so that some still wait; reads, because ending a thread inside of ONNX Runtime aborts the process.
  const waiting = Promise.allSettled(Array.from({ length: 5000 }, () => state.read()));
  await worker?.terminate();
  expect((await waiting).at(-1)).toMatchObject({ status: "rejected", reason: { code: "engine-lost" } });
  await expect(program.run({ x })).rejects.toMatchObject({
    code: "engine-lost",
    message: "device: expected a running engine, its worker thread ended with exit code 1; open another device",
  });
  await program.close();
  await state.close();
  await device.close();
});

const dist = fileURLToPath(new URL("../../../dist/src/runtime/node/", import.meta.url));

/** Runs a script against the compiled engine in a process of its own: exit code and output. */
async function script(lines: string): Promise<{ readonly code: number; readonly output: string }> {
  const source = `
    import { openDevice } from ${JSON.stringify(`${dist}open-device.js`)};
    import { floats, slowModel } from ${JSON.stringify(`${dist}tiny-models.test.helpers.js`)};
    const device = await openDevice({ threads: 1 });
    const program = await device.compile(slowModel(768));
    const x = floats([768, 768], new Float32Array(768 * 768).fill(1e-3));
    const run = () => program.run({ x });
    ${lines}`;
  const args = ["--input-type=module", "--eval", source];
  return promisify(execFile)(process.execPath, args, { timeout: 20_000 }).then(
    ({ stdout, stderr }) => ({ code: 0, output: stdout + stderr }),
    ({ code, stdout, stderr }) => ({ code, output: stdout + stderr }),
  );
}

test("a script that forgets close() ends, but not before its calls are answered", async () => {
  expect(await script("void run().then(() => run()).then(() => console.log('answered'));")).toEqual({
    code: 0,
    output: "answered\n",
  });
});

test("process.exit in the middle of a run keeps its code", async () => {
  expect(await script("void run(); void run(); setTimeout(() => process.exit(7), 20);")).toEqual({
    code: 7,
    output: "",
  });
});

test("memory is reported", async () => {
  await using device = await openDevice({ threads: 1 });
  const { residentBytes, peakBytes } = await device.memory();
  expect(residentBytes).toBeGreaterThan(20e6);
  expect(peakBytes).toBeGreaterThanOrEqual(residentBytes);
});

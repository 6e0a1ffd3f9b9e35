import { getEventListeners } from "node:events";
import { afterAll, beforeEach, expect, test } from "vitest";
import type { GeneratedPart } from "../../generation/generation.js";
import { initialTensors } from "../../models/initialize.js";
import { parseT5Config } from "../../models/t5/config.js";
import { createT5 } from "../../models/t5/t5.js";
import type { Device } from "../../runtime/device.js";
import { openDevice } from "../../runtime/node/open-device.js";
import { createGenerateLane } from "./generate-lane.js";

const device = await openDevice({ threads: 1 });
afterAll(() => device.close());

let runs = 0;
/** Told of every run of a program. */
let onRun = (): void => {};
beforeEach(() => {
  runs = 0;
  onRun = () => {};
});
const counted: Device = {
  ...device,
  compile: async (...given) => {
    const program = await device.compile(...given);
    return {
      ...program,
      run: (...fed) => {
        runs++;
        onRun();
        return program.run(...fed);
      },
    };
  },
};
const model = createT5(
  parseT5Config({
    architectures: ["T5ForConditionalGeneration"],
    model_type: "t5",
    ...{ vocab_size: 40, d_model: 8, d_kv: 4, d_ff: 8, num_layers: 1, num_heads: 2, decoder_start_token_id: 0 },
  }),
);
const weights = initialTensors(model.parameters, 3);
const openLane = () =>
  createGenerateLane({ kind: "base", key: "base" }, { device: counted, model, weights, inputLength: 16 });

const beamRow = { input: Int32Array.of(5, 6, 7, 1), beams: 2, maxNewTokens: 100, repetitionPenalty: 1 };
const never = new AbortController().signal;
const listenersOf = (signal: AbortSignal): number => getEventListeners(signal, "abort").length;

test("a request adds no listener for each of its rows, and none stays", async () => {
  const lane = openLane();
  const { signal } = new AbortController();
  const rows = Array.from({ length: 30 }, (_, seed) => ({
    input: beamRow.input,
    options: { temperature: 1, seed, maxNewTokens: 12 },
  }));
  let most = 0;
  const ended = new Set<number>();
  const onPart = ({ row, finish }: GeneratedPart): boolean => {
    most = Math.max(most, listenersOf(signal));
    if (finish !== undefined) ended.add(row);
    return true;
  };
  await lane.stream({ rows, experts: [], onPart, signal });
  expect(ended.size).toBe(30);
  expect(most).toBeLessThanOrEqual(3);
  expect(listenersOf(signal)).toBe(0);
  await lane.close();
});

test("a signal ends all rows of its request, and leaves those of others", async () => {
  const lane = openLane();
  const stop = new AbortController();
  const rows = [1, 2].map((seed) => ({
    input: beamRow.input,
    options: { temperature: 1, seed, maxNewTokens: 64 },
  }));
  const parts: Record<"mine" | "other", number[]> = { mine: [], other: [] };
  const mine = lane.stream({
    ...{ rows, experts: [], signal: stop.signal },
    onPart: ({ row }) => {
      parts.mine.push(row);
      stop.abort();
      return true;
    },
  });
  const other = lane.stream({
    ...{ rows, experts: [], signal: never },
    onPart: ({ row }) => parts.other.push(row) > 0,
  });
  await expect(mine).rejects.toMatchObject({ code: "aborted" });
  await other;
  expect(parts.mine).toHaveLength(1);
  expect(new Set(parts.other)).toEqual(new Set([0, 1]));
  await lane.close();
});

test("a beam search that is aborted computes no further, waits for nobody, and harms no other", async () => {
  const lane = openLane();
  const alone = await lane.searchBeams({ row: beamRow, experts: [], signal: never });
  const whole = runs;
  expect(whole).toBeGreaterThan(20);

  runs = 0;
  const [first, second] = [new AbortController(), new AbortController()];
  // Three in one batch: the first is stopped on its way, the second before its turn.
  onRun = () => {
    if (runs !== 6) return;
    first.abort();
    second.abort();
  };
  const [one, two, three] = await Promise.allSettled(
    [first.signal, second.signal, never].map((signal) => lane.searchBeams({ row: beamRow, experts: [], signal })),
  );
  expect(one).toMatchObject({ status: "rejected", reason: { code: "aborted" } });
  expect(two).toMatchObject({ status: "rejected", reason: { code: "aborted" } });
  expect(three).toEqual({ status: "fulfilled", value: alone });
  expect(runs).toBeLessThanOrEqual(whole + 7);
  expect([first, second].map(({ signal }) => listenersOf(signal))).toEqual([0, 0]);
  await lane.close();
});

import { at } from "../core/at.js";
import { throwIfAborted } from "../core/errors.js";
import { powerOfTwo } from "../core/numbers.js";
import type { RunOptions, RunResult, State } from "../runtime/device.js";
import type { Tensor } from "../tensors/tensor.js";
import { historyLength } from "./decode-program.js";
import type { BatchShape, DecodingEngine } from "./decoding-engine.js";
import type { AnsweredRow, GeneratedPart, TopTokens } from "./generation.js";
import { layOutBatch } from "./laid-out-batch.js";
import { finite, floatsOf, integersOf } from "./read-outputs.js";
import { candidatesOf, rowChoiceFeeds } from "./row-choice.js";
import { isPlain, type ResolvedOptions } from "./row-options.js";
import { type Choosing, LOG_PROBABILITIES, TOKENS, TOP_IDS, TOP_LOG_PROBABILITIES } from "./steps-program.js";

/**
 * Steps of one call of the runtime at most. Calls cost: messages, and copies of the caches, which a run leaves alone until its end. Long runs
 * cost too: every step copies the run's own entries. Measured with cadre-mini's shape, 64 tokens, processor time on one thread, for 1, 4, 8,
 * 16 and 32 steps: 1 row 94, 76, 54, 69, 99 ms; 8 rows 289, 175, 146, 164, 173 ms; 32 rows 744, 517, 440, 430, 465 ms. With T5-small's
 * shape 8 rows 1.14, 1.14, 0.97 s for 4, 8 and 16 steps, 32 rows 2.9, 2.8 s for 4 and 8.
 */
const STEPS_PER_RUN = 8;
/**
 * Runs that a batch must have before it for its ended rows to be left out: what a smaller program costs has to come back. Measured with
 * cadre-mini and 32 rows, two of 64 tokens and the others of at most 20: 280 instead of 410 ms, and no slower where programs are compiled for it.
 */
const RUNS_WORTH_PICKING = 2;

/** A row of a batch with its input cut to the limit. */
export interface BatchRow extends AnsweredRow {
  /** Position in the caller's list. */
  readonly index: number;
  readonly options: ResolvedOptions;
}

/** Options of `decodeBatch`. */
export interface DecodeBatchOptions {
  readonly rows: readonly BatchRow[];
  /** Rows of the program, at least as many. */
  readonly places: number;
  readonly inputLength: number;
  readonly state: State;
  readonly signal: AbortSignal | undefined;
  /** Rows, by their position in the caller's list, that the caller has ended; it may add to them at any time. */
  readonly stopped: ReadonlySet<number>;
}

/** A row that is being answered. */
interface RunningRow extends BatchRow {
  /** What it has read and what it reads next, the start token first. */
  readonly history: number[];
  pastLength: number;
  ended: boolean;
}

/** Answers rows together, run by run; ends when all have ended. */
export async function* decodeBatch(
  engine: DecodingEngine,
  { rows, places, inputLength, state, signal, stopped }: DecodeBatchOptions,
): AsyncGenerator<GeneratedPart, void, undefined> {
  const { model, decoding } = engine;
  const mostTokens = Math.max(...rows.map(({ options }) => options.maxNewTokens));
  const steps = Math.min(STEPS_PER_RUN, powerOfTwo(mostTokens));
  let shape = { rows: places, inputLength };
  const past = decoding.pastLength(shape) + (powerOfTwo(Math.ceil(mostTokens / steps)) - 1) * steps;
  const window = { past, recent: steps };
  const held: RunOptions = { state, ...(signal === undefined ? {} : { signal }) };
  let { start, chosen } = layOutBatch(engine, rows, shape);
  let running = rows.map(
    (row, place): RunningRow => ({
      ...row,
      history: [at(start.ids, place)],
      pastLength: at(start.pastLengths, place),
      ended: false,
    }),
  );
  throwIfAborted(signal);
  await (await engine.prefill({ shape, window })).run({ ...start.feeds, ...chosen }, held);

  for (let done = 0; ; done += steps) {
    for (const row of running) {
      row.ended ||= stopped.has(row.index);
    }
    const active = running.filter(({ ended }) => !ended);
    if (active.length === 0) {
      return;
    }
    throwIfAborted(signal);
    const left = Math.max(...active.map(({ options }) => options.maxNewTokens)) - done;
    if (2 * active.length <= shape.rows && left > RUNS_WORTH_PICKING * steps) {
      const fewer = { ...shape, rows: powerOfTwo(active.length) };
      const picked = Int32Array.from({ length: fewer.rows }, (_, place) =>
        Math.max(0, running.indexOf(active[place] ?? at(active, 0))),
      );
      const pick = await engine.pickRows({ shape, window }, fewer.rows);
      await pick.run({ picked: { dtype: "int32", shape: [fewer.rows], data: picked } }, held);
      shape = fewer;
      running = active;
      ({ chosen } = layOutBatch(engine, running, shape));
    }
    const result = await runSteps(engine, { running, shape, window, done, chosen, held });
    for (const [place, row] of running.entries()) {
      if (!row.ended && !stopped.has(row.index)) {
        yield takePart(result, { row, place, steps, left: row.options.maxNewTokens - done, endId: model.endId });
      }
    }
  }
}

async function runSteps(
  engine: DecodingEngine,
  {
    running,
    shape,
    window,
    done,
    chosen,
    held,
  }: BatchShape & {
    readonly running: readonly RunningRow[];
    readonly done: number;
    readonly chosen: Readonly<Record<string, Tensor>>;
    readonly held: RunOptions;
  },
): Promise<RunResult> {
  const { vocabularySize } = engine.model;
  const options = running.map((row) => row.options);
  const choosing: Choosing = options.every(isPlain)
    ? { kind: "greedy" }
    : { kind: "by-row", candidates: candidatesOf(options, vocabularySize) };
  const program = await engine.steps({ shape, window }, choosing);
  const places = Array.from({ length: shape.rows }, (_, place) => running[place]);
  const integers = (numbers: readonly number[]): Tensor => ({
    dtype: "int32",
    shape: [shape.rows],
    data: Int32Array.from(numbers),
  });
  return await program.run(
    {
      ...chosen,
      ids: integers(places.map((row) => row?.history.at(-1) ?? 0)),
      pastLengths: integers(places.map((row) => row?.pastLength ?? 0)),
      ended: {
        dtype: "bool",
        shape: [shape.rows],
        data: Uint8Array.from(places, (row) => (row === undefined || row.ended ? 1 : 0)),
      },
      ...(choosing.kind === "greedy"
        ? {}
        : rowChoiceFeeds(places, {
            ...{ steps: window.recent, done, vocabularySize },
            history: historyLength({ decoding: engine.decoding, shape, window }),
          })),
    },
    held,
  );
}

/** Reads what a run made of a row, and moves the row on. */
function takePart(
  result: RunResult,
  {
    row,
    place,
    steps,
    left,
    endId,
  }: {
    readonly row: RunningRow;
    readonly place: number;
    readonly steps: number;
    /** Tokens that it may still make. */
    readonly left: number;
    readonly endId: number;
  },
): GeneratedPart {
  const first = place * steps;
  const made = integersOf(result, TOKENS).subarray(first, first + Math.min(steps, left));
  const end = made.indexOf(endId);
  const ids = made.slice(0, end < 0 ? made.length : end + 1);
  const finish = end >= 0 ? "end" : ids.length >= left ? "length" : undefined;
  row.ended = finish !== undefined;
  row.history.push(...ids);
  row.pastLength += steps;
  const asked = row.options.topLogProbabilities;
  return {
    row: row.index,
    ids,
    logProbabilities: finite(floatsOf(result, LOG_PROBABILITIES).slice(first, first + ids.length), row.index),
    ...(asked === 0 ? {} : { top: Array.from(ids, (_, step) => topAt(result, first + step, asked)) }),
    ...(finish === undefined ? {} : { finish }),
  };
}

function topAt(result: RunResult, step: number, asked: number): TopTokens {
  const width = result.outputs[TOP_IDS]?.shape.at(-1) ?? 0;
  const [first, last] = [step * width, step * width + Math.min(asked, width)];
  return {
    ids: integersOf(result, TOP_IDS).slice(first, last),
    logProbabilities: floatsOf(result, TOP_LOG_PROBABILITIES).slice(first, last),
  };
}

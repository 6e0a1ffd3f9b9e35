import { at } from "../core/at.js";
import type { Graph, Value } from "../graph/graph.js";
import { loop } from "../graph/loop.js";
import { add, cast, compare, logical, where } from "../graph/ops/elementwise.js";
import { gatherRows } from "../graph/ops/gather.js";
import { matmul } from "../graph/ops/matmul.js";
import { runtimeZeros } from "../graph/ops/primitives.js";
import { reduceMax } from "../graph/ops/reduce.js";
import { concat, reshape, slice } from "../graph/ops/shape-ops.js";
import { serializeGraph } from "../graph/serialize.js";
import { sizeAt } from "../graph/shape.js";
import { type CachedAttention, type CacheWindow, cachedAttention } from "../models/cached-attention.js";
import type { CacheSpec, DecodingStep } from "../models/decoding.js";
import {
  beginProgram,
  type DecodeProgram,
  type DecodeProgramOptions,
  emptyEntries,
  known,
  memorySlot,
  PARTS,
  pastSlot,
} from "./decode-program.js";
import { chooseGreedily } from "./greedy.js";

/** Outputs of the program. */
export const TOKENS = "tokens";
export const LOG_PROBABILITIES = "logProbabilities";

/** Added to scores that must not count: far below any score, far above float32's smallest number. */
const MASKED = -1e9;

/**
 * Builds a run of `window.recent` greedy steps; it ends earlier when every row has.
 *
 * Feeds: `ids [rows]` int32, the tokens that the first step reads; `ended [rows]` bool, rows that go on with padding; `pastLengths [rows]`
 * int32; the delta's batch inputs; the slots that the prefill made. Outputs `[rows, steps]`: `tokens` int32, padding behind a row's end, and
 * `logProbabilities`.
 */
export function buildStepsProgram(options: DecodeProgramOptions): DecodeProgram {
  const { model, decoding, shape, window } = options;
  const { rows } = shape;
  const steps = window.recent;
  const { graph, context } = beginProgram(options, []);
  const firstIds = graph.input("ids", "int32", [rows]);
  const firstEnded = graph.input("ended", "bool", [rows]);
  const pastLengths = graph.input("pastLengths", "int32", [rows]);
  const memory = Object.fromEntries(
    decoding.memory(shape).map(({ name, dtype, shape: size }) => [name, graph.input(memorySlot(name), dtype, size)]),
  );
  const past = new Map(
    decoding.caches.flatMap((cache) =>
      window.past === 0
        ? []
        : PARTS.map((part): [string, Value] => {
            const slot = pastSlot(cache, part);
            return [slot, graph.input(slot, "float32", [rows, cache.heads, window.past, cache.headWidth])];
          }),
    ),
  );
  const build = decoding.steps(context, { shape, window, memory, pastLengths });
  const masks = stepMasks(graph, window);
  const pastMask = pastMaskOf(pastLengths, window);
  const numbers = counting(graph, steps);
  const zero = (dtype: "int32" | "float32"): Value => runtimeZeros(firstIds, dtype, [rows, steps]);
  const recents = decoding.caches.flatMap((cache) =>
    PARTS.map(() => emptyEntries(shape, cache, { entries: steps, source: firstIds })),
  );

  const { carried } = loop({
    graph,
    steps,
    carried: [firstIds, firstEnded, zero("int32"), zero("float32"), ...recents],
    sequences: [],
    body: ({ index: number, carried: [ids, ended, tokensBefore, logProbabilitiesBefore, ...caches] }) => {
      const index = cast(number, "int32");
      const isCurrent = compare("Equal", numbers, index);
      const { attend, filled } = growCaches(decoding.caches, {
        past,
        recents: caches,
        current: reshape(isCurrent, [1, 1, steps, 1]),
      });
      const ownMask = gatherRows(masks, index);
      const states = build({
        ids: known(ids, "ids"),
        index,
        mask: pastMask === undefined ? ownMask : add(ownMask, pastMask),
        attend,
      });
      const chosen = chooseGreedily(matmul(states.hidden, states.head, { transposeB: true }));
      const before = known(ended, "ended");
      const nextIds = where(before, model.padId, chosen.ids);
      const nextEnded = logical("Or", before, compare("Equal", nextIds, model.endId));
      const written = (value: Value, all: Value | undefined): Value =>
        where(reshape(isCurrent, [1, steps]), reshape(value, [rows, 1]), known(all, "output"));
      return {
        carried: [
          nextIds,
          nextEnded,
          written(nextIds, tokensBefore),
          written(where(before, 0, chosen.logProbabilities), logProbabilitiesBefore),
          ...filled(),
        ],
        collected: [],
        goOn: compare("Greater", reduceMax(where(nextEnded, graph.scalar("int32", 0), 1), [0]), 0),
      };
    },
  });
  const [, , tokens, logProbabilities, ...entries] = carried;
  graph.output(TOKENS, known(tokens, TOKENS));
  graph.output(LOG_PROBABILITIES, known(logProbabilities, LOG_PROBABILITIES));
  const updates: Record<string, string> = {};
  [...past].forEach(([slot, before], position) => {
    graph.output(`next:${slot}`, movedOn(before, at(entries, position)));
    updates[slot] = `next:${slot}`;
  });
  return { bytes: serializeGraph(graph), updates };
}

/** The caches of a step: what a model calls to attend, and afterwards the run's entries with those of the step in them. */
function growCaches(
  caches: readonly CacheSpec[],
  {
    past,
    recents,
    current,
  }: {
    /** By slot; empty where there is no past. */
    readonly past: ReadonlyMap<string, Value>;
    /** Keys and values of each cache, in order. */
    readonly recents: readonly Value[];
    /** `[1, 1, recent, 1]`: the entry that the step fills. */
    readonly current: Value;
  },
): { readonly attend: DecodingStep["attend"]; readonly filled: () => Value[] } {
  const found = new Map<string, CachedAttention>();
  return {
    attend: (name, step, { bias, scale = 1 }) => {
      const place = caches.findIndex((cache) => cache.name === name);
      const cache = at(caches, place);
      const [keys, values] = [
        { past: past.get(pastSlot(cache, "keys")), recent: at(recents, 2 * place) },
        { past: past.get(pastSlot(cache, "values")), recent: at(recents, 2 * place + 1) },
      ];
      const attention = cachedAttention(step, { keys, values }, { current, bias, scale });
      found.set(name, attention);
      return attention.context;
    },
    filled: () =>
      caches.flatMap(({ name }) => {
        const { recentKeys, recentValues } = known(found.get(name), name);
        return [recentKeys, recentValues];
      }),
  };
}

/** The last entries of both parts of a cache, as many as the past has. */
function movedOn(past: Value, recent: Value): Value {
  const [before, added] = [sizeAt(past.shape, 2, "decoding"), sizeAt(recent.shape, 2, "decoding")];
  return before > added
    ? concat([slice(past, { axis: 2, start: added, end: before }), recent], 2)
    : slice(recent, { axis: 2, start: added - before, end: added });
}

/** By step, `[recent, 1, 1, 1, past + recent]`: the run's later entries are hidden. */
function stepMasks(graph: Graph, { past, recent }: CacheWindow): Value {
  const entries = past + recent;
  const data = Float32Array.from({ length: recent * entries }, (_, index) =>
    (index % entries) - past > Math.floor(index / entries) ? MASKED : 0,
  );
  return graph.constant({ dtype: "float32", shape: [recent, 1, 1, 1, entries], data });
}

/** `[rows, 1, 1, past + recent]`: what of the past is not a row's own is hidden; undefined where there is no past. */
function pastMaskOf(pastLengths: Value, { past, recent }: CacheWindow): Value | undefined {
  if (past === 0) {
    return undefined;
  }
  const { graph } = pastLengths;
  // Entry i is a row's own if at most `pastLength` entries of the past lie from there to its end; the run's are always.
  const needed = graph.constant({
    dtype: "int32",
    shape: [1, 1, 1, past + recent],
    data: Int32Array.from({ length: past + recent }, (_, entry) => Math.max(0, past - entry)),
  });
  const own = compare("LessOrEqual", needed, reshape(pastLengths, [...pastLengths.shape, 1, 1, 1]));
  return where(own, graph.scalar("float32", 0), graph.scalar("float32", MASKED));
}

/** `0, 1, …`, int32. */
function counting(graph: Graph, count: number): Value {
  return graph.constant({ dtype: "int32", shape: [count], data: Int32Array.from({ length: count }, (_, one) => one) });
}

import { at } from "../core/at.js";
import type { Graph, Value } from "../graph/graph.js";
import { add, compare, where } from "../graph/ops/elementwise.js";
import { gatherRows } from "../graph/ops/gather.js";
import { matmul } from "../graph/ops/matmul.js";
import { concat, reshape, slice } from "../graph/ops/shape-ops.js";
import { sizeAt } from "../graph/shape.js";
import { type CachedAttention, type CacheWindow, cachedAttention } from "../models/cached-attention.js";
import type { CacheSpec, DecodingStep } from "../models/decoding.js";
import {
  beginProgram,
  type DecodeProgramOptions,
  emptyEntries,
  known,
  memorySlot,
  PARTS,
  pastSlot,
} from "./decode-program.js";

/** Added to scores that must not count: far below any score, far above float32's smallest number. */
const MASKED = -1e9;

/** A graph of decoding steps under construction, on the slots that a prefill made. */
export interface StepsGraph {
  readonly graph: Graph;
  /** `[rows]`, int32: the input `ids`, the tokens that the first step reads. */
  readonly firstIds: Value;
  /** Keys and values of the run, without an entry: what the first step is given. */
  readonly noEntries: readonly Value[];
  /**
   * Adds a step, in the graph or in a loop within it. Returns the scores of the next token, `[rows, vocabulary]`, and the entries with the
   * step's own among them.
   */
  step(options: {
    readonly ids: Value;
    /** Its number within the run, an int32 scalar. */
    readonly index: Value;
    readonly entries: readonly Value[];
  }): { readonly logits: Value; readonly entries: Value[] };
  /** Declares what the slots hold after the run, given the last step's entries. Returns slot to output. */
  finish(entries: readonly Value[]): Record<string, string>;
}

/**
 * Begins one. Its inputs are `ids` and `pastLengths` `[rows]`, int32, the delta's batch inputs and the slots.
 * @param reorder From the graph, `[rows]` int32: the row whose past each row goes on from. Default: its own.
 */
export function beginSteps(options: DecodeProgramOptions, reorder?: (graph: Graph) => Value): StepsGraph {
  const { decoding, shape, window } = options;
  const { rows } = shape;
  const { graph, context } = beginProgram(options, []);
  const firstIds = graph.input("ids", "int32", [rows]);
  const pastLengths = graph.input("pastLengths", "int32", [rows]);
  const memory = Object.fromEntries(
    decoding.memory(shape).map(({ name, dtype, shape: size }) => [name, graph.input(memorySlot(name), dtype, size)]),
  );
  const order = reorder?.(graph);
  const past = new Map(
    decoding.caches.flatMap((cache) =>
      window.past === 0
        ? []
        : PARTS.map((part): [string, Value] => {
            const slot = pastSlot(cache, part);
            const held = graph.input(slot, "float32", [rows, cache.heads, window.past, cache.headWidth]);
            return [slot, order === undefined ? held : gatherRows(held, order)];
          }),
    ),
  );
  const build = decoding.steps(context, { shape, window, memory, pastLengths });
  const masks = stepMasks(graph, window);
  const pastMask = pastMaskOf(pastLengths, window);
  const numbers = counting(graph, window.recent);
  return {
    graph,
    firstIds,
    noEntries: decoding.caches.flatMap((cache) =>
      PARTS.map(() => emptyEntries(shape, cache, { entries: window.recent, source: firstIds })),
    ),
    step({ ids, index, entries }) {
      const { attend, filled } = growCaches(decoding.caches, {
        past,
        recents: entries,
        current: reshape(compare("Equal", numbers, index), [1, 1, window.recent, 1]),
      });
      const ownMask = gatherRows(masks, index);
      const states = build({ ids, index, mask: pastMask === undefined ? ownMask : add(ownMask, pastMask), attend });
      return { logits: matmul(states.hidden, states.head, { transposeB: true }), entries: filled() };
    },
    finish(entries) {
      const updates: Record<string, string> = {};
      [...past].forEach(([slot, before], position) => {
        graph.output(`next:${slot}`, movedOn(before, at(entries, position)));
        updates[slot] = `next:${slot}`;
      });
      return updates;
    },
  };
}

/** `0, 1, …`, int32. */
export function counting(graph: Graph, count: number): Value {
  return graph.constant({ dtype: "int32", shape: [count], data: Int32Array.from({ length: count }, (_, one) => one) });
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

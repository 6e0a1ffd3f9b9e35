import { Graph } from "../graph/graph.js";
import { gatherRows } from "../graph/ops/gather.js";
import { serializeGraph } from "../graph/serialize.js";
import type { CacheWindow } from "../models/cached-attention.js";
import type { Decoding, DecodingShape } from "../models/decoding.js";
import { type DecodeProgram, memorySlot, PARTS, pastSlot } from "./decode-program.js";

/**
 * Builds the program that makes a batch of the rows of another: the feed `picked [rows]`, int32, says which row of the slots each new one
 * is. Rows that have ended are left out with it, and a row is repeated for its beams.
 * @param options.shape Of the slots before.
 * @param options.rows Of the slots afterwards.
 */
export function buildPickRowsProgram({
  decoding,
  shape,
  window,
  rows,
}: {
  readonly decoding: Decoding;
  readonly shape: DecodingShape;
  readonly window: CacheWindow;
  readonly rows: number;
}): DecodeProgram {
  const graph = new Graph();
  const picked = graph.input("picked", "int32", [rows]);
  const slots = [
    ...decoding.memory(shape).map(({ name, dtype, shape: size }) => graph.input(memorySlot(name), dtype, size)),
    ...(window.past === 0 ? [] : decoding.caches).flatMap((cache) =>
      PARTS.map((part) =>
        graph.input(pastSlot(cache, part), "float32", [shape.rows, cache.heads, window.past, cache.headWidth]),
      ),
    ),
  ];
  const updates: Record<string, string> = {};
  for (const slot of slots) {
    const output = `next:${slot.name}`;
    graph.output(output, gatherRows(slot, picked));
    updates[slot.name] = output;
  }
  return { bytes: serializeGraph(graph), updates };
}

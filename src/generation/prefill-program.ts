import { at } from "../core/at.js";
import type { Value } from "../graph/graph.js";
import { concat } from "../graph/ops/shape-ops.js";
import { serializeGraph } from "../graph/serialize.js";
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

/**
 * Builds the program that reads the inputs: the decoding's `inputs` and the delta's batch inputs to the slots of the memory and of the
 * caches' past.
 */
export function buildPrefillProgram(options: DecodeProgramOptions): DecodeProgram {
  const { decoding, shape, window } = options;
  const { graph, context, batch } = beginProgram(options, decoding.inputs(shape));
  const { memory, past } = decoding.prefill(context, batch);
  const source = at(Object.values(batch), 0);
  const updates: Record<string, string> = {};
  const keep = (slot: string, value: Value): void => {
    graph.output(slot, value);
    updates[slot] = slot;
  };
  for (const { name } of decoding.memory(shape)) {
    keep(memorySlot(name), known(memory[name], name));
  }
  for (const cache of window.past > 0 ? decoding.caches : []) {
    const found = past[cache.name];
    const missing = window.past - decoding.pastLength(shape);
    for (const part of PARTS) {
      const empty = missing > 0 ? [emptyEntries(shape, cache, { entries: missing, source })] : [];
      keep(pastSlot(cache, part), concat([...empty, ...(found === undefined ? [] : [found[part]])], 2));
    }
  }
  return { bytes: serializeGraph(graph), updates };
}

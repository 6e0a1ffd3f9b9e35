import { expect } from "vitest";
import type { Graph } from "./graph.js";
import { walkMemory } from "./walk-memory.js";

/** Most bytes that lie in memory at once while a graph runs. */
export function peakMemory(graph: Graph): number {
  let live = 0;
  let peak = 0;
  walkMemory(graph, {
    allocate: (bytes) => {
      live += bytes;
      peak = Math.max(peak, live);
      return bytes;
    },
    free: (bytes) => {
      live -= bytes;
    },
  });
  expect(live).toBe(0);
  return peak;
}

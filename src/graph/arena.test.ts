import fc from "fast-check";
import { expect, test } from "vitest";
import { at } from "../core/at.js";
import { type Arena, arenaMemory, createArena } from "./arena.js";
import { Graph } from "./graph.js";
import { matmul } from "./ops/matmul.js";
import { peakMemory } from "./walk-memory.test.helpers.js";

const MEGABYTE = 2 ** 20;

/** An arena with one region of 32 MB, all of it free. */
function emptyArena(): Arena {
  const arena = createArena();
  arena.free(arena.allocate(32 * MEGABYTE));
  return arena;
}

test("what is freed is used again, neighbours as one, in either order", () => {
  for (const order of [
    [0, 1],
    [1, 0],
  ]) {
    const arena = emptyArena();
    const chunks = [arena.allocate(8 * MEGABYTE), arena.allocate(8 * MEGABYTE)];
    arena.allocate(MEGABYTE);
    for (const index of order) {
      arena.free(at(chunks, index));
    }
    const { start, bytes } = arena.allocate(16 * MEGABYTE);
    expect([start, bytes]).toEqual([0, 16 * MEGABYTE]);
    expect(arena.residentBytes()).toBe(32 * MEGABYTE);
  }
});

test("a region is resident only as far as it has been written to", () => {
  const arena = createArena();
  arena.allocate(5 * MEGABYTE);
  expect(arena.residentBytes()).toBe(5 * MEGABYTE);
});

test("the smallest chunk that is large enough is taken, and split if it is twice as large", () => {
  const arena = emptyArena();
  const [large, , small] = [9, 1, 6, 16].map((size) => arena.allocate(size * MEGABYTE));
  if (large === undefined || small === undefined) {
    throw new Error("expected chunks");
  }
  arena.free(large);
  arena.free(small);
  const taken = [5, 4].map((size) => arena.allocate(size * MEGABYTE));
  expect(taken.map(({ start, bytes }) => [start, bytes])).toEqual([
    [small.start, 6 * MEGABYTE],
    [large.start, 4 * MEGABYTE],
  ]);
});

test("chunks never overlap, and at least half of what lies in them is resident", () => {
  const sizes = fc.array(fc.record({ size: fc.integer({ min: 1, max: 3 * MEGABYTE }), keep: fc.nat(3) }), {
    minLength: 1,
    maxLength: 60,
  });
  fc.assert(
    fc.property(sizes, (requests) => {
      const arena = createArena();
      const live = new Set<ReturnType<typeof arena.allocate>>();
      for (const { size, keep } of requests) {
        const chunk = arena.allocate(size);
        expect(chunk.bytes).toBeGreaterThanOrEqual(size);
        for (const other of live) {
          const apart =
            other.region !== chunk.region ||
            other.start + other.bytes <= chunk.start ||
            chunk.start + chunk.bytes <= other.start;
          expect(apart).toBe(true);
        }
        live.add(chunk);
        const [oldest] = live;
        if (keep === 0 && oldest !== undefined) {
          live.delete(oldest);
          arena.free(oldest);
        }
      }
      const held = [...live].reduce((sum, { bytes }) => sum + bytes, 0);
      expect(arena.residentBytes()).toBeGreaterThan(held / 2);
    }),
    { numRuns: 30 },
  );
});

test("a graph's arena holds at least what lies in it at once", () => {
  const graph = new Graph();
  const [x, y] = [graph.input("x", "float32", [512, 512]), graph.input("y", "float32", [512, 300])];
  graph.output("z", matmul(matmul(matmul(x, x), x), matmul(x, y)));
  const peak = peakMemory(graph);
  expect(arenaMemory(graph)).toBeGreaterThanOrEqual(peak);
  expect(arenaMemory(graph)).toBeLessThan(1.5 * peak);
});

import type { Graph } from "./graph.js";
import { type Allocator, walkMemory } from "./walk-memory.js";

// As ONNX Runtime sets its CPU arena up (`BFCArena`, onnxruntime 1.30).
/** Sizes are multiples of it. */
const GRAIN = 256;
/** Of the first region that is asked of the system; each later one is twice as large, or more where that does not do. */
const FIRST_REGION = 2 ** 20;
/** A chunk that is not twice as large as what goes into it is not split, unless this much would lie idle. */
const MOST_DEAD_BYTES = 128 * 2 ** 20;
/** Of the system; one that has never been written to takes no memory. */
const PAGE = 4096;

/** A piece of a region; `bytes` may be more than what was asked for. */
interface Chunk {
  readonly region: Region;
  readonly start: number;
  bytes: number;
  free: boolean;
  previous: Chunk | undefined;
  next: Chunk | undefined;
}

interface Region {
  readonly index: number;
  /** By page, 1 where it has been written to. */
  readonly touched: Uint8Array;
}

/** ONNX Runtime's arena without its memory. */
export interface Arena extends Allocator<Chunk> {
  /** Bytes of the pages that have been written to; the arena gives none back. */
  readonly residentBytes: () => number;
}

/**
 * Memory that ONNX Runtime's arena holds once a graph has run, in bytes; further runs find their places in it. It is more than what lies in it
 * at once, because pieces of unequal size leave gaps and chunks are up to twice as large as their content.
 * @throws CadreError `invalid-argument` where a size is symbolic.
 */
export function arenaMemory(graph: Graph): number {
  const arena = createArena();
  walkMemory(graph, arena);
  return arena.residentBytes();
}

/** Best fit with coalescing: the smallest free chunk that is large enough, of equal ones the first. */
export function createArena(): Arena {
  const regions: Region[] = [];
  const free = new Set<Chunk>();
  let regionBytes = FIRST_REGION;

  const extend = (bytes: number): Chunk => {
    const grown = bytes > regionBytes;
    while (bytes > regionBytes) {
      regionBytes *= 2;
    }
    const region: Region = { index: regions.length, touched: new Uint8Array(Math.ceil(regionBytes / PAGE)) };
    const whole = { region, start: 0, bytes: regionBytes, free: true, previous: undefined, next: undefined };
    regions.push(region);
    free.add(whole);
    regionBytes *= grown ? 1 : 2;
    return whole;
  };
  const split = (chunk: Chunk, bytes: number): void => {
    const rest: Chunk = {
      region: chunk.region,
      start: chunk.start + bytes,
      bytes: chunk.bytes - bytes,
      free: true,
      previous: chunk,
      next: chunk.next,
    };
    if (chunk.next !== undefined) {
      chunk.next.previous = rest;
    }
    chunk.next = rest;
    chunk.bytes = bytes;
    free.add(rest);
  };
  /** `chunk` takes in the one behind it. */
  const merge = (chunk: Chunk, next: Chunk): void => {
    free.delete(next);
    chunk.bytes += next.bytes;
    chunk.next = next.next;
    if (next.next !== undefined) {
      next.next.previous = chunk;
    }
  };
  return {
    allocate: (asked) => {
      const bytes = GRAIN * Math.ceil(Math.max(1, asked) / GRAIN);
      const chunk = bestFit(free, bytes) ?? extend(bytes);
      free.delete(chunk);
      chunk.free = false;
      if (chunk.bytes >= 2 * bytes || chunk.bytes - bytes >= MOST_DEAD_BYTES) {
        split(chunk, bytes);
      }
      chunk.region.touched.fill(1, Math.floor(chunk.start / PAGE), Math.ceil((chunk.start + bytes) / PAGE));
      return chunk;
    },
    free: (chunk) => {
      chunk.free = true;
      if (chunk.next?.free === true) {
        merge(chunk, chunk.next);
      }
      free.add(chunk);
      if (chunk.previous?.free === true) {
        merge(chunk.previous, chunk);
      }
    },
    residentBytes: () =>
      regions.reduce((sum, { touched }) => sum + PAGE * touched.reduce((pages, page) => pages + page, 0), 0),
  };
}

function bestFit(free: Iterable<Chunk>, bytes: number): Chunk | undefined {
  let best: Chunk | undefined;
  for (const chunk of free) {
    if (chunk.bytes >= bytes && (best === undefined || isBefore(chunk, best))) {
      best = chunk;
    }
  }
  return best;
}

function isBefore(left: Chunk, right: Chunk): boolean {
  return left.bytes !== right.bytes
    ? left.bytes < right.bytes
    : left.region.index !== right.region.index
      ? left.region.index < right.region.index
      : left.start < right.start;
}

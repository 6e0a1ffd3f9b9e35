import { expect, test } from "vitest";
import { Graph } from "../../src/graph/graph.js";
import { serializeGraph } from "../../src/graph/serialize.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import type { Tensor } from "../../src/tensors/tensor.js";
import { LARGE, opCases } from "./op-cases.js";
import { buildOpGraph, feedsFor } from "./op-program.js";

const RUNS = 50;
const THREADS = [1, 2, 4];
const threadDependent = new Set(opCases.filter((opCase) => opCase.threadDependent).map(({ name }) => name));
/** Cases that share a session: bounds the memory, as each run returns all outputs and gradients. */
const CASES_PER_GRAPH = 12;

// Equal bits from run to run hold for every shape. Equal bits from one number of threads to another hold for the shapes here, but not for all:
// a product [m, k] · [k, n] with m < n, k > 128 and at most 64 columns a thread is summed in other blocks of k (96 of 3,389 random shapes at
// 1 to 4 threads), so a run is resumed with the number of threads that it was started with.

function bytesOf({ data }: Tensor): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}

/** One graph of several cases at sizes where the work is divided among threads, and what is fed to it. */
function buildGroup(first: number): { model: Uint8Array; feeds: Map<string, Tensor> } {
  const graph = new Graph();
  const feeds = new Map<string, Tensor>();
  opCases.slice(first, first + CASES_PER_GRAPH).forEach((opCase, offset) => {
    const prefix = `${opCase.name}/`;
    const options = { dtype: "float32", sizes: { ...LARGE, ...opCase.large }, prefix, graph } as const;
    const built = buildOpGraph(opCase, options);
    for (const [name, tensor] of Object.entries(feedsFor(opCase, built, options, first + offset))) {
      feeds.set(name, tensor);
    }
  });
  return { model: serializeGraph(graph), feeds };
}

const groups = Array.from({ length: Math.ceil(opCases.length / CASES_PER_GRAPH) }, (_, group) => group);

test.each(groups)(
  `outputs and gradients have equal bits in ${RUNS} runs at ${THREADS.join(", ")} threads: group %i`,
  async (group) => {
    const { model, feeds } = buildGroup(group * CASES_PER_GRAPH);
    const expected = new Map<string, Buffer>();
    const different = new Map<string, number>();
    for (const threads of THREADS) {
      await using device = await openDevice({ threads });
      await using program = await device.compile(model);
      await using state = await device.createState(feeds);
      for (let run = 0; run < RUNS; run++) {
        const { outputs } = await program.run({}, { state });
        for (const [name, tensor] of Object.entries(outputs)) {
          const bytes = bytesOf(tensor);
          const slot = threadDependent.has(name.slice(0, name.indexOf("/"))) ? `${name} ${threads}` : name;
          const reference = expected.get(slot);
          if (reference === undefined) {
            expected.set(slot, bytes);
          } else if (!reference.equals(bytes)) {
            const key = `${name} at ${threads} threads`;
            different.set(key, (different.get(key) ?? 0) + 1);
          }
        }
      }
    }
    expect(Object.fromEntries(different)).toEqual({});
  },
);

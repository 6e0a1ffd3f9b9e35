import { Worker } from "node:worker_threads";
import { createRandom } from "../src/core/random.js";
import { createExactSearch } from "../src/routing/exact-search.js";
import { normalizeVectors } from "../src/routing/unit-vectors.js";
import { measureGemmPeak } from "../src/runtime/gemm-peak.js";
import { openDevice } from "../src/runtime/node/open-device.js";

/** Width of MiniLM's embeddings. */
const DIMENSION = 384;
/** Rounds of floor and searches in turn; the best of each counts, since a virtual machine's speed varies. */
const ROUNDS = 7;

/** One line of the bench. */
interface RouteRun {
  readonly keys: number;
  readonly queries: number;
  /** Nearest keys asked for. */
  readonly neighbours: number;
  /** Reading all keys once with as many threads: what one query cannot be faster than. */
  readonly floorSeconds: number;
  /** The product at the speed of the fastest square one: what many queries cannot be faster than. */
  readonly productSeconds: number;
  readonly seconds: number;
}

/** Exact search of nearest keys against reading their memory once. */
export async function benchRoute({ json, smoke }: { readonly json: boolean; readonly smoke: boolean }): Promise<void> {
  const runs: RouteRun[] = [];
  if (!json) console.log("     keys   queries   neighbours   read once (GB/s)   product   search   times the slower");
  for (const keys of smoke ? [3000] : [30_000, 1_000_000]) {
    for (const run of await measure(keys)) {
      runs.push(run);
      if (json) continue;
      const columns = [
        run.keys.toString().padStart(9),
        run.queries.toString().padStart(9),
        run.neighbours.toString().padStart(12),
        `${milliseconds(run.floorSeconds)} (${((run.keys * DIMENSION * 4) / run.floorSeconds / 1e9).toFixed(1)})`.padStart(
          18,
        ),
        milliseconds(run.productSeconds).padStart(9),
        milliseconds(run.seconds).padStart(8),
        (run.seconds / Math.max(run.floorSeconds, run.productSeconds)).toFixed(2).padStart(18),
      ];
      console.log(columns.join(" "));
    }
  }
  if (json) console.log(JSON.stringify({ dimension: DIMENSION, runs }, null, 2));
}

function milliseconds(seconds: number): string {
  return `${(1000 * seconds).toFixed(2)} ms`;
}

async function measure(keyCount: number): Promise<RouteRun[]> {
  await using device = await openDevice();
  const peak = await measureGemmPeak(device);
  const keys = randomVectors(keyCount, 1);
  await using search = await createExactSearch({ device, keys, dimension: DIMENSION });
  await using floor = await openFloor(keys.byteLength, device.threads);
  const runs: RouteRun[] = [];
  for (const { queries, neighbours } of [
    { queries: 1, neighbours: 1 },
    { queries: 1, neighbours: 10 },
    { queries: 32, neighbours: 1 },
  ]) {
    const vectors = randomVectors(queries, 2);
    let floorSeconds = Number.POSITIVE_INFINITY;
    let seconds = Number.POSITIVE_INFINITY;
    for (let round = 0; round < ROUNDS; round++) {
      floorSeconds = Math.min(floorSeconds, await timed(() => floor.read()));
      seconds = Math.min(seconds, await timed(() => search.nearest(vectors, neighbours)));
    }
    const productSeconds = (2 * keyCount * DIMENSION * queries) / (1e9 * peak);
    runs.push({ keys: keyCount, queries, neighbours, floorSeconds, productSeconds, seconds });
  }
  return runs;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

/** Memory of a size, and threads that read it once. */
async function openFloor(
  bytes: number,
  threads: number,
): Promise<{ readonly read: () => Promise<void> } & AsyncDisposable> {
  const memory = new SharedArrayBuffer(bytes);
  // Written, or the pages would all be the same one.
  new Uint8Array(memory).fill(2);
  const share = Math.ceil(bytes / threads);
  const workers = Array.from({ length: threads }, (_, thread) => {
    const start = thread * share;
    const length = Math.min(share, bytes - start);
    return new Worker(new URL("./route-read.js", import.meta.url), { workerData: { memory, start, length } });
  });
  const readBy = (worker: Worker): Promise<void> =>
    new Promise((resolve, reject) => {
      worker.once("error", reject);
      worker.once("message", (found: number) => {
        worker.off("error", reject);
        if (found === -1) resolve();
        else reject(new Error(`the floor found a byte at ${found}`));
      });
      worker.postMessage(1);
    });
  const read = async (): Promise<void> => {
    await Promise.all(workers.map(readBy));
  };
  await read();
  return {
    read,
    async [Symbol.asyncDispose]() {
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}

function randomVectors(count: number, seed: number): Float32Array {
  // Sums of two stretches of a table of normal numbers: fresh ones for a million vectors would take a minute.
  const random = createRandom(seed);
  const table = Float32Array.from({ length: 2 ** 16 }, () => random.nextNormal());
  const vectors = new Float32Array(count * DIMENSION);
  for (let start = 0; start < vectors.length; start += DIMENSION) {
    const first = random.nextInteger(table.length - DIMENSION);
    const second = random.nextInteger(table.length - DIMENSION);
    for (let column = 0; column < DIMENSION; column++) {
      vectors[start + column] = (table[first + column] ?? 0) + (table[second + column] ?? 0);
    }
  }
  normalizeVectors(vectors, DIMENSION);
  return vectors;
}

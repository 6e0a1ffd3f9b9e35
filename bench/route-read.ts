import { parentPort, workerData } from "node:worker_threads";

/** One thread of the floor: told to, it reads its share of the memory once, with the C library's search for a byte that is not there. */
const { memory, start, length } = workerData as { memory: SharedArrayBuffer; start: number; length: number };
const bytes = Buffer.from(memory, start, length);
parentPort?.on("message", (absent: number) => {
  parentPort?.postMessage(bytes.indexOf(absent));
});

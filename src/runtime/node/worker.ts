import { parentPort, workerData } from "node:worker_threads";
import { transferListOf } from "./copy-tensor.js";
import { createEngine } from "./engine.js";
import type { CallName, ReplyMessage, RequestMessage } from "./messages.js";
import { toWireError } from "./wire-error.js";

/** What a worker is started with. */
export interface WorkerStart {
  /** Shared; not 0 once the device is closing, from when on queued calls are dropped. */
  readonly closing: Int32Array;
}

const port = parentPort;
if (port === null) throw new Error("worker.js expects to be started as a worker thread");
// Parse boundary: only `open-device.ts` starts this file.
const { closing } = workerData as WorkerStart;

const engine = createEngine(() => import("onnxruntime-node"));

/** Calls run one after the other, in the order in which they were sent. */
let last: Promise<void> = Promise.resolve();
port.on("message", (message: RequestMessage) => {
  last = last.then(() => answer(message));
});

async function answer<C extends CallName>({ id, call, request }: RequestMessage<C>): Promise<void> {
  if (call !== "shutdown" && Atomics.load(closing, 0) !== 0) return;
  try {
    const { result, moved } = await engine[call](request);
    post({ id, ok: true, result }, transferListOf(moved ?? []));
  } catch (error) {
    post({ id, ok: false, error: toWireError(error) });
  }
  // Nothing else keeps the thread: it ends by itself.
  if (call === "shutdown") port?.close();
}

function post(reply: ReplyMessage, transfer: readonly ArrayBuffer[] = []): void {
  port?.postMessage(reply, transfer);
}

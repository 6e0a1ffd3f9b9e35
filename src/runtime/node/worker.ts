import { parentPort, workerData } from "node:worker_threads";
import { transferListOf } from "./copy-tensor.js";
import { acquire, type DeviceLock, release } from "./device-lock.js";
import { createEngine } from "./engine.js";
import type { CallName, ReplyMessage, RequestMessage } from "./messages.js";
import { toWireError } from "./wire-error.js";
import { enterCall, leaveCall, type WorkerFlags } from "./worker-flags.js";

/** What a worker is started with. */
export interface WorkerStart {
  readonly flags: WorkerFlags;
  /** Held during every call; absent where devices do not disturb each other. */
  readonly lock?: DeviceLock;
}

const port = parentPort;
if (port === null) throw new Error("worker.js expects to be started as a worker thread");
// Parse boundary: only `open-device.ts` starts this file.
const { flags, lock } = workerData as WorkerStart;

const engine = createEngine(async () => {
  const ort = await import("onnxruntime-node");
  // Before the first session: it warns on the terminal about GPUs that it does not find.
  ort.env.logLevel = "error";
  return ort;
});

/** Calls run one after the other, in the order in which they were sent. */
let last: Promise<void> = Promise.resolve();
port.on("message", (message: RequestMessage) => {
  last = last.then(() => answer(message));
});

async function answer<C extends CallName>({ id, call, request }: RequestMessage<C>): Promise<void> {
  // Dropped calls need no answer: the caller's side has refused them already.
  if (!enterCall(flags, { evenWhenClosing: call === "shutdown" })) return;
  if (lock !== undefined) acquire(lock);
  try {
    const { result, moved } = await engine[call](request);
    post({ id, ok: true, result }, transferListOf(moved ?? []));
  } catch (error) {
    post({ id, ok: false, error: toWireError(error) });
  } finally {
    if (lock !== undefined) release(lock);
    leaveCall(flags);
  }
  // Nothing else keeps the thread: it ends by itself.
  if (call === "shutdown") port?.close();
}

function post(reply: ReplyMessage, transfer: readonly ArrayBuffer[] = []): void {
  port?.postMessage(reply, transfer);
}

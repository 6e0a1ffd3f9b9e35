/**
 * Numbers in memory shared with the worker. It is blocked while ONNX Runtime runs and then reads no messages, and Node must
 * not end its thread meanwhile: the native call would return into a dead isolate and abort the whole process.
 */
export type WorkerFlags = Int32Array;

const CLOSING = 0;
const BUSY = 1;

/** Flags of a worker that is idle and stays open. */
export function createWorkerFlags(): WorkerFlags {
  return new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT));
}

/** Caller side: from now on the worker starts none of the waiting calls. */
export function requestClose(flags: WorkerFlags): void {
  Atomics.store(flags, CLOSING, 1);
}

/**
 * Caller side: blocks this thread until the worker is between two calls.
 * @param flags Of a worker that was asked to close, or it may start the next call meanwhile.
 * @param timeoutMs Gives up after so many milliseconds.
 */
export function waitUntilIdle(flags: WorkerFlags, { timeoutMs }: { readonly timeoutMs: number }): void {
  Atomics.wait(flags, BUSY, 1, timeoutMs);
}

/**
 * Worker side, before a call: false when it has to be left out because the worker is closing.
 * @param evenWhenClosing For the call that closes.
 */
export function enterCall(flags: WorkerFlags, { evenWhenClosing }: { readonly evenWhenClosing: boolean }): boolean {
  // Busy first, then the question: the other side asks for the close first and then whether the worker is busy, so that one
  // of the two always sees the other.
  Atomics.store(flags, BUSY, 1);
  if (evenWhenClosing || Atomics.load(flags, CLOSING) === 0) return true;
  leaveCall(flags);
  return false;
}

/** Worker side, after a call. */
export function leaveCall(flags: WorkerFlags): void {
  Atomics.store(flags, BUSY, 0);
  Atomics.notify(flags, BUSY);
}

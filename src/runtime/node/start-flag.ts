/**
 * One number in shared memory that decides whether a queued run starts or is aborted. The worker is blocked while a run
 * lasts, so that it could not read an abort message; both threads write the flag with compare-and-exchange and the first wins.
 */
export type StartFlag = Int32Array;

const QUEUED = 0;
const STARTED = 1;
const ABORTED = 2;

/** A flag of a run that has neither started nor been aborted. */
export function createStartFlag(): StartFlag {
  return new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
}

/** Worker side: true when the run may start, from when on it cannot be aborted. */
export function tryStart(flag: StartFlag): boolean {
  return Atomics.compareExchange(flag, 0, QUEUED, STARTED) === QUEUED;
}

/** Caller side: true when the run will not start. */
export function tryAbort(flag: StartFlag): boolean {
  return Atomics.compareExchange(flag, 0, QUEUED, ABORTED) === QUEUED;
}

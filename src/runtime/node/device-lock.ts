/**
 * A number in memory shared by the workers of all WebGPU devices of a process. ONNX Runtime gives them one context, with one list of commands that is
 * not made for several threads: two runs at once fail ("CommandEncoder is already finished") or mix their commands.
 */
export type DeviceLock = Int32Array;

const FREE = 0;
const HELD = 1;

/** A lock that nobody holds. */
export function createDeviceLock(): DeviceLock {
  return new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
}

/** Blocks this thread, a worker, until it holds the lock. */
export function acquire(lock: DeviceLock): void {
  while (Atomics.compareExchange(lock, 0, FREE, HELD) !== FREE) Atomics.wait(lock, 0, HELD);
}

/** Lets another worker have the lock. */
export function release(lock: DeviceLock): void {
  Atomics.store(lock, 0, FREE);
  Atomics.notify(lock, 0, 1);
}

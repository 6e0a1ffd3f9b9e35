import { requestClose, type WorkerFlags, waitUntilIdle } from "./worker-flags.js";

/** How long a process that wants to end waits for a running call: longer than runs are planned to take. */
const EXIT_WAIT_MS = 60_000;

const running = new Set<WorkerFlags>();

/**
 * Makes `process.exit` and uncaught errors wait for the call that a worker is in, because Node ends worker threads even inside
 * native code, which aborts the process (SIGABRT instead of the exit code).
 * @returns Takes the worker off the watch, when it has ended.
 */
export function guardExit(flags: WorkerFlags): () => void {
  // One listener for all devices: Node warns of more than ten.
  if (running.size === 0) process.on("exit", waitForAll);
  running.add(flags);
  return () => {
    running.delete(flags);
    if (running.size === 0) process.off("exit", waitForAll);
  };
}

function waitForAll(): void {
  for (const flags of running) requestClose(flags);
  for (const flags of running) waitUntilIdle(flags, { timeoutMs: EXIT_WAIT_MS });
}

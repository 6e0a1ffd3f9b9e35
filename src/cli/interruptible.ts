import { CadreError } from "../core/errors.js";

/** Does what Ctrl-C ends: the first one aborts the signal, the next one the process. */
export async function interruptible<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort();
  process.once("SIGINT", interrupt);
  try {
    return await work(interrupted.signal);
  } finally {
    process.off("SIGINT", interrupt);
  }
}

/**
 * The same for work with a display, which is stopped in the end, and that goes on when the command is given again.
 * @param goesOn Where: what is told after Ctrl-C.
 * @throws CadreError `aborted` after Ctrl-C; as `work`.
 */
export function resumable(
  display: { stop(): void; where(): string },
  { work, goesOn }: { readonly work: (signal: AbortSignal) => Promise<void>; readonly goesOn: string },
): Promise<void> {
  return interruptible(async (signal) => {
    try {
      await work(signal);
    } catch (error) {
      display.stop();
      if (signal.aborted && CadreError.isInstance(error) && error.code === "aborted") {
        throw new CadreError("aborted", `stopped ${display.where()}; ${goesOn}`, { cause: error });
      }
      throw error;
    }
  });
}

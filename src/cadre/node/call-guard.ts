import { CadreError, throwIfAborted } from "../../core/errors.js";

/** The calls of a cadre that are under way. */
export interface CallGuard {
  /**
   * Does a call's work. It ends at once where its signal fires or all are ended, whatever the work is doing; the work is told by a signal of its own.
   * @throws CadreError `aborted`, `closed`; what the work throws.
   */
  run<Result>(work: (signal: AbortSignal) => Promise<Result>, signal?: AbortSignal): Promise<Result>;
  /** Ends all calls, and those to come. */
  close(): void;
}

/** A guard of no calls yet. */
export function createCallGuard(): CallGuard {
  const running = new Set<(error: CadreError) => void>();
  let closed = false;
  const refusal = (): CadreError =>
    new CadreError("closed", "cadre: expected an open cadre, this one was closed; open the library again");
  return {
    async run(work, signal) {
      if (closed) throw refusal();
      throwIfAborted(signal);
      const own = new AbortController();
      return await new Promise((resolve, reject) => {
        const end = (error: CadreError): void => {
          own.abort(error);
          reject(error);
        };
        const onAbort = (): void => end(new CadreError("aborted", "the call was aborted", { cause: signal?.reason }));
        running.add(end);
        signal?.addEventListener("abort", onAbort, { once: true });
        void work(own.signal)
          .then(resolve, reject)
          .finally(() => {
            running.delete(end);
            signal?.removeEventListener("abort", onAbort);
          });
      });
    },
    close() {
      closed = true;
      for (const end of running) end(refusal());
    },
  };
}

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

/** Ends a call. */
type End = (error: CadreError) => void;

/** The calls that a caller's signal ends. */
interface Watch {
  readonly calls: Set<End>;
  readonly onAbort: () => void;
}

/** A guard of no calls yet. */
export function createCallGuard(): CallGuard {
  const running = new Set<End>();
  /** One listener a signal, however many calls share it: Node warns of more than ten. */
  const watches = new Map<AbortSignal, Watch>();
  let closed = false;
  const refusal = (): CadreError =>
    new CadreError("closed", "cadre: expected an open cadre, this one was closed; open the library again");

  const watch = (signal: AbortSignal, end: End): void => {
    const found = watches.get(signal);
    if (found !== undefined) {
      found.calls.add(end);
      return;
    }
    const calls = new Set([end]);
    const onAbort = (): void => {
      watches.delete(signal);
      for (const one of calls) one(new CadreError("aborted", "the call was aborted", { cause: signal.reason }));
    };
    signal.addEventListener("abort", onAbort, { once: true });
    watches.set(signal, { calls, onAbort });
  };
  const unwatch = (signal: AbortSignal, end: End): void => {
    const found = watches.get(signal);
    found?.calls.delete(end);
    if (found?.calls.size !== 0) return;
    watches.delete(signal);
    signal.removeEventListener("abort", found.onAbort);
  };

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
        running.add(end);
        if (signal !== undefined) watch(signal, end);
        void work(own.signal)
          .then(resolve, reject)
          .finally(() => {
            running.delete(end);
            if (signal !== undefined) unwatch(signal, end);
          });
      });
    },
    close() {
      closed = true;
      for (const end of running) end(refusal());
    },
  };
}

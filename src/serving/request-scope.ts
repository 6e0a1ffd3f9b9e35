import { type Problem, Refusal } from "./problem.js";

/** What holds while a request is worked on: its client is there, and its time is not over. */
export interface RequestScope extends Disposable {
  /** Fires when the client left, the time is over, or the scope has ended. */
  readonly signal: AbortSignal;
  /** The same for one of several calls: Node warns where more than ten of them listen to one signal. */
  signalOfOne(): AbortSignal;
  /** The work's result. Rejects at once, without waiting for the work, when the signal fires: with a `Refusal` that says why. */
  run<Result>(work: Promise<Result>): Promise<Result>;
  /** Stops the clock, and whatever still works under the signal. */
  [Symbol.dispose](): void;
}

const CLIENT_LEFT: Problem = { status: 499, message: "the client closed the request", code: "client_closed_request" };

/**
 * Starts the clock.
 * @param client The request's own signal.
 * @param overtime What the client is told when the time is over.
 */
export function openScope(
  client: AbortSignal,
  { seconds, overtime }: { readonly seconds: number; readonly overtime: Problem },
): RequestScope {
  const controller = new AbortController();
  const { signal } = controller;
  const stopped = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  // Most scopes end without anyone waiting for this.
  stopped.catch(() => {});

  const leave = (): void => controller.abort(new Refusal(CLIENT_LEFT));
  const timer = setTimeout(() => controller.abort(new Refusal(overtime)), seconds * 1000);
  client.addEventListener("abort", leave, { once: true });
  if (client.aborted) leave();

  return {
    signal,
    signalOfOne: () => AbortSignal.any([signal]),
    run: async (work) => {
      try {
        return await Promise.race([stopped, work]);
      } catch (error) {
        // The work may notice the signal first, and says no more than that it was aborted.
        throw signal.aborted ? signal.reason : error;
      }
    },
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      client.removeEventListener("abort", leave);
      leave();
    },
  };
}

/** Receives progress events. It runs inside the work, so it should return quickly; what it returns is ignored. */
export type EventHandler<E> = (event: E) => void;

const reported = new WeakSet<EventHandler<never>>();

/**
 * Hands an event to a handler, if there is one. A handler that throws (or returns a promise that rejects) never breaks
 * the work: its first error becomes a process warning named `CadreEventHandlerWarning` (in a browser it goes to
 * `reportError`), later errors of the same handler are dropped. Rethrowing in a microtask would end a Node process.
 */
export function emit<E>(handler: EventHandler<E> | undefined, event: E): void {
  if (handler === undefined) return;
  try {
    const result: unknown = handler(event);
    if (result instanceof Promise) result.catch((error: unknown) => reportOnce(handler, error));
  } catch (error) {
    reportOnce(handler, error);
  }
}

function reportOnce(handler: EventHandler<never>, error: unknown): void {
  if (reported.has(handler)) return;
  reported.add(handler);
  const warning = new Error(`an event handler failed: ${error instanceof Error ? error.message : String(error)}`, {
    cause: error,
  });
  warning.name = "CadreEventHandlerWarning";
  if (error instanceof Error && error.stack !== undefined) warning.stack = error.stack;
  const platform: object = globalThis;
  if (typeof process !== "undefined" && typeof process.emitWarning === "function") {
    process.emitWarning(warning);
  } else if ("reportError" in platform && typeof platform.reportError === "function") {
    platform.reportError(warning);
  }
}

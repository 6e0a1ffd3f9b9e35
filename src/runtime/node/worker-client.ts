import type { Worker } from "node:worker_threads";
import { CadreError } from "../../core/errors.js";
import { guardExit } from "./exit-guard.js";
import type { CallName, ReplyMessage, RequestMessage, RequestOf, ResultOf } from "./messages.js";
import { fromWireError } from "./wire-error.js";
import type { WorkerStart } from "./worker.js";
import { requestClose } from "./worker-flags.js";

/** A call's content. */
export interface CallOptions<C extends CallName> {
  readonly request: RequestOf<C>;
  /** Buffers that move to the worker; they are gone here afterwards. */
  readonly transfer?: readonly ArrayBuffer[];
}

/** The caller's end of a worker: typed calls, answered in order. */
export interface WorkerClient {
  /**
   * Sends a call; it is on its way when this returns.
   * @throws CadreError what the worker throws; `closed` after or by `close`; `engine-lost` when the worker has ended.
   */
  call<C extends CallName>(call: C, options: CallOptions<C>): Promise<ResultOf<C>>;
  /** Sends a call that frees something; nothing is left to free when the worker has ended. */
  free<C extends CallName>(call: C, options: CallOptions<C>): Promise<void>;
  /** Refuses what waits, lets the running call finish and ends the worker. A second call waits for the first. */
  close(): Promise<void>;
}

interface Pending {
  readonly resolve: (result: ResultOf<CallName>) => void;
  readonly reject: (error: CadreError) => void;
}

/**
 * Connects to a worker that has just been started. The worker keeps the process alive only while calls wait for it, so that a
 * script that forgets `close` still ends.
 */
export function connectWorker(worker: Worker, { flags }: WorkerStart): WorkerClient {
  const pending = new Map<number, Pending>();
  let lastId = 0;
  /** Why no more calls are taken. */
  let refusal: (() => CadreError) | undefined;
  let closed: Promise<void> | undefined;
  const unguard = guardExit(flags);
  let running = true;
  const exited = new Promise<void>((resolve) => worker.once("exit", () => resolve()));

  worker.unref();
  worker.on("message", (reply: ReplyMessage) => {
    const waiting = pending.get(reply.id);
    pending.delete(reply.id);
    if (pending.size === 0 && closed === undefined) worker.unref();
    if (reply.ok) waiting?.resolve(reply.result);
    else waiting?.reject(fromWireError(reply.error));
  });
  const refuse = (reason: () => CadreError) => {
    refusal ??= reason;
    const refused = [...pending.values()];
    pending.clear();
    for (const { reject } of refused) reject(refusal());
  };
  const lose = (what: string, cause?: unknown) => {
    const message = `device: expected a running engine, its worker thread ${what}; open another device`;
    refuse(() => new CadreError("engine-lost", message, cause === undefined ? {} : { cause }));
  };
  worker.once("error", (error) => lose(`failed (${error instanceof Error ? error.message : error})`, error));
  worker.once("messageerror", (error) => lose(`sent an unreadable message (${error.message})`, error));
  worker.once("exit", (code) => {
    running = false;
    unguard();
    lose(`ended with exit code ${code}`);
  });

  const post = (message: RequestMessage, transfer: readonly ArrayBuffer[] = []) =>
    worker.postMessage(message, transfer);

  const call = <C extends CallName>(name: C, { request, transfer }: CallOptions<C>): Promise<ResultOf<C>> =>
    new Promise<ResultOf<C>>((resolve, reject) => {
      if (refusal !== undefined) {
        reject(refusal());
        return;
      }
      const id = ++lastId;
      post({ id, call: name, request }, transfer);
      // Parse boundary: the reply with this id answers this call.
      pending.set(id, { resolve: resolve as Pending["resolve"], reject });
      worker.ref();
    });

  return {
    call,

    async free(name, options) {
      if (refusal !== undefined) return;
      await call(name, options).catch((error: unknown) => {
        if (!CadreError.isInstance(error) || (error.code !== "closed" && error.code !== "engine-lost")) throw error;
      });
    },

    close() {
      closed ??= (async () => {
        requestClose(flags);
        refuse(() => new CadreError("closed", "device: expected an open device, this one was closed; open another"));
        if (!running) return;
        worker.ref();
        // `terminate` would pull the thread out of ONNX Runtime; this waits for the running call instead.
        post({ id: ++lastId, call: "shutdown", request: {} });
        await exited;
      })();
      return closed;
    },
  };
}

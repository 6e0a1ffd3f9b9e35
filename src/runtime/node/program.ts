import { CadreError, throwIfAborted } from "../../core/errors.js";
import type { Tensor } from "../../tensors/tensor.js";
import type { Program, RunOptions, RunResult, State } from "../device.js";
import { copyTensor, transferListOf } from "./copy-tensor.js";
import type { ProgramSignature } from "./messages.js";
import { createStartFlag, tryAbort } from "./start-flag.js";
import type { StateHandle } from "./state.js";
import type { WorkerClient } from "./worker-client.js";

/** What a program's handle needs to know. */
export interface ProgramHandle {
  readonly number: number;
  readonly name: string;
  readonly signature: ProgramSignature;
  /** What the program's device knows about a state; undefined for states of other devices. */
  readonly handleOf: (state: State) => StateHandle | undefined;
}

/** The caller's handle of a program in the worker. */
export function createProgram(client: WorkerClient, { number, name, signature, handleOf }: ProgramHandle): Program {
  let closed = false;
  const close = async () => {
    if (closed) return;
    closed = true;
    await client.free("closeProgram", { request: { program: number } });
  };
  return {
    inputs: signature.inputs,
    outputs: signature.outputs,

    async run(feeds: Readonly<Record<string, Tensor>>, { state, signal }: RunOptions = {}): Promise<RunResult> {
      if (closed) {
        throw new CadreError("closed", `run(${name}): expected an open program, this one was closed; compile it again`);
      }
      throwIfAborted(signal);
      const copies: Record<string, Tensor> = {};
      for (const [input, tensor] of Object.entries(feeds)) copies[input] = copyTensor(tensor);
      const request = { program: number, feeds: copies, ...stateRequest(state) };
      const transfer = transferListOf(Object.values(copies));
      if (signal === undefined) return client.call("run", { request, transfer });

      const start = createStartFlag();
      const reply = client.call("run", { request: { ...request, start }, transfer });
      return new Promise((resolve, reject) => {
        const abort = () => {
          // Too late for a run that has started: it changes the state, so its result is reported.
          if (!tryAbort(start)) return;
          reject(new CadreError("aborted", `run(${name}): aborted before it started`, { cause: signal.reason }));
        };
        signal.addEventListener("abort", abort, { once: true });
        reply.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
      });
    },

    close,
    [Symbol.asyncDispose]: close,
  };

  function stateRequest(state: State | undefined): { readonly state?: number } {
    if (state === undefined) return {};
    const handle = handleOf(state);
    if (handle === undefined) {
      throw new CadreError(
        "invalid-argument",
        `run(${name}): expected a state of the same device, got another's; create it there`,
      );
    }
    return { state: handle.numberFor(`run(${name})`) };
  }
}

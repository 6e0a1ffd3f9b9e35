import { CadreError } from "../../core/errors.js";
import type { Tensor } from "../../tensors/tensor.js";
import type { State } from "../device.js";
import { copyTensor, transferListOf } from "./copy-tensor.js";
import type { WorkerClient } from "./worker-client.js";

/** The caller's handle of a state in the worker. */
export function createStateHandle(client: WorkerClient, number: number): State {
  let closed = false;
  const requireOpen = (method: string) => {
    if (closed) throw new CadreError("closed", `State.${method}: expected an open state, this one was closed`);
  };
  const close = async () => {
    if (closed) return;
    closed = true;
    await client.free("closeState", { request: { state: number } });
  };
  return {
    async read(names) {
      requireOpen("read");
      return client.call("readState", { request: names === undefined ? { state: number } : { state: number, names } });
    },
    async write(tensors) {
      requireOpen("write");
      const copies = copyAll(tensors);
      await client.call("writeState", {
        request: { state: number, tensors: copies },
        transfer: transferListOf(copies.values()),
      });
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Copies of named tensors, see {@link copyTensor}. */
export function copyAll(tensors: ReadonlyMap<string, Tensor>): ReadonlyMap<string, Tensor> {
  return new Map([...tensors].map(([name, tensor]) => [name, copyTensor(tensor)]));
}

import { CadreError } from "../../core/errors.js";
import type { Tensor } from "../../tensors/tensor.js";
import type { State } from "../device.js";
import { copyTensor, transferListOf } from "./copy-tensor.js";
import type { WorkerClient } from "./worker-client.js";

/** A state, and what its device knows about it. */
export interface StateHandle {
  readonly state: State;
  /**
   * The number by which the worker knows the state.
   * @param user What asks, for the message.
   * @throws CadreError `closed`
   */
  numberFor(user: string): number;
}

/** The caller's handle of the state with a number in the worker. */
export function createStateHandle(client: WorkerClient, number: number): StateHandle {
  let closed = false;
  const numberFor = (user: string) => {
    if (closed) {
      throw new CadreError("closed", `${user}: expected an open state, this one was closed; create another`);
    }
    return number;
  };
  const close = async () => {
    if (closed) return;
    closed = true;
    await client.free("closeState", { request: { state: number } });
  };
  const state: State = {
    async read(names) {
      const request = { state: numberFor("State.read") };
      return client.call("readState", { request: names === undefined ? request : { ...request, names } });
    },
    async write(tensors) {
      const known = numberFor("State.write");
      const copies = copyAll(tensors);
      await client.call("writeState", {
        request: { state: known, tensors: copies },
        transfer: transferListOf(copies.values()),
      });
    },
    close,
    [Symbol.asyncDispose]: close,
  };
  return { state, numberFor };
}

/** Copies of named tensors, see {@link copyTensor}. */
export function copyAll(tensors: ReadonlyMap<string, Tensor>): ReadonlyMap<string, Tensor> {
  return new Map([...tensors].map(([name, tensor]) => [name, copyTensor(tensor)]));
}

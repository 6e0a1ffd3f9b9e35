import type { Tensor } from "../../tensors/tensor.js";
import type { CompileOptions, DeviceKind, RunResult } from "../device.js";
import type { WireError } from "./wire-error.js";

/** What compiling tells the caller about the graph. */
export interface ProgramSignature {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/**
 * The calls between a device and its worker: what goes over and what comes back. Programs and states are known by numbers
 * that the caller's side gives out, so that a call can name one before the worker has answered.
 */
export interface Calls {
  /** Loads ONNX Runtime; the first call. */
  open: { request: { readonly kind: DeviceKind; readonly threads: number }; result: undefined };
  compile: {
    request: {
      readonly program: number;
      readonly name: string;
      readonly model: Uint8Array;
      readonly options: CompileOptions;
    };
    result: ProgramSignature;
  };
  run: {
    request: {
      readonly program: number;
      readonly state?: number;
      readonly feeds: Readonly<Record<string, Tensor>>;
      /** Decides between start and abort, see `start-flag.ts`; absent for runs without a signal. */
      readonly start?: Int32Array;
    };
    result: RunResult;
  };
  closeProgram: { request: { readonly program: number }; result: undefined };
  createState: {
    request: { readonly state: number; readonly tensors: ReadonlyMap<string, Tensor> };
    result: undefined;
  };
  writeState: {
    request: { readonly state: number; readonly tensors: ReadonlyMap<string, Tensor> };
    result: undefined;
  };
  readState: {
    request: { readonly state: number; readonly names?: readonly string[] };
    result: ReadonlyMap<string, Tensor>;
  };
  closeState: { request: { readonly state: number }; result: undefined };
  /** Releases everything; the worker ends after its answer. */
  shutdown: { request: Readonly<Record<string, never>>; result: undefined };
}

/** The name of a call. */
export type CallName = keyof Calls;

/** What the caller's side sends for a call. */
export type RequestOf<C extends CallName> = Calls[C]["request"];

/** What the worker returns for a call. */
export type ResultOf<C extends CallName> = Calls[C]["result"];

/** A call on its way to the worker. */
export interface RequestMessage<C extends CallName = CallName> {
  readonly id: number;
  readonly call: C;
  readonly request: RequestOf<C>;
}

/** The answer on its way back. */
export type ReplyMessage =
  | { readonly id: number; readonly ok: true; readonly result: ResultOf<CallName> }
  | { readonly id: number; readonly ok: false; readonly error: WireError };

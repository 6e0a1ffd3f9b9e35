import type { DType } from "./dtype.js";
import type { Tensor } from "./tensor.js";

/** Where a stored tensor lies: enough to map it as ONNX external data without reading it. */
export interface TensorLocation {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** The file that holds it. */
  readonly path: string;
  /** Bytes from the start of that file to its first element. */
  readonly offset: number;
  /** Its size in bytes. */
  readonly length: number;
}

/** Named tensors in storage, of which only the directory has been read. */
export interface TensorSource {
  /** The file, or the folder of several files. */
  readonly path: string;
  /** Free texts stored beside the tensors. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Every tensor by name, in the order in which they lie in storage. */
  readonly tensors: ReadonlyMap<string, TensorLocation>;
  /**
   * Reads one tensor into fresh memory.
   * @throws CadreError `not-found` for an unknown name, `closed` after `close()`, `invalid-file` when the file has changed,
   * `out-of-memory` when it cannot be allocated, `io` when reading fails.
   */
  read(name: string): Promise<Tensor>;
  /** Gives the files back; a second call does nothing. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

import type { Tensor } from "../tensors/tensor.js";

/** Where programs can run; docs/devices.md says what each needs and what runs where. */
export const DEVICE_KINDS = ["cpu", "webgpu", "cuda"] as const;

/**
 * - `cpu`: everything works and repeats bit for bit
 * - `webgpu`: a GPU through Vulkan, Metal or Direct3D 12; the state stays on it between runs, results differ from the CPU's in their last digits
 * - `cuda`: an NVIDIA GPU with libraries that npm does not bring (linux/x64); best effort, the state crosses the bus at every run
 */
export type DeviceKind = (typeof DEVICE_KINDS)[number];

/** Options of `openDevice`. */
export interface DeviceOptions {
  /** Where to run; default `"cpu"`. */
  readonly kind?: DeviceKind;
  /**
   * Threads of one operator, 1 or more; default: the cores that this process may use. With a GPU those of the operators that it has no
   * kernel for.
   */
  readonly threads?: number;
}

/** What `Device.compile` needs beside the model. */
export interface CompileOptions {
  /** Name used in error messages and profiles. */
  readonly name?: string;
  /** Folder against which the model's external data locations are resolved (weights mapped from safetensors files). */
  readonly weightsFolder?: string;
  /**
   * Graph outputs that replace a slot of the state after a run: slot name to output name, or to several outputs whose rows, one after
   * the other, are the slot's new content (float32; cheaper for slots above 32 MB). Such outputs never leave the worker.
   * A slot is fed to the graph input of the same name.
   */
  readonly updates?: Readonly<Record<string, string | readonly string[]>>;
  /**
   * Float outputs that must hold only finite numbers for the updates to be committed; otherwise the state stays as it was before the run
   * (with a loop of several steps: as before its first step) and the result says `committed: false`.
   */
  readonly guards?: readonly string[];
  /**
   * Keep a second copy of constant weights in the layout that the CPU's products read fastest; default `false`. Measured with 57 million weights on
   * 2 cores: 8 rows in 7 instead of 14 ms, 256 rows in 64 instead of 70, 1,024 rows alike. For generation and serving;
   * inputs and state are never packed.
   */
  readonly prepackWeights?: boolean;
  /** Write ONNX Runtime's profile (Chrome trace JSON) with this path prefix; for measuring only. */
  readonly profilePrefix?: string;
}

/** Options of one run. */
export interface RunOptions {
  /** State whose slots are fed to the inputs that `feeds` leaves out, and which the program's updates replace. */
  readonly state?: State;
  /**
   * Takes effect before the run starts: it is left out and the promise rejects with `aborted` at once. A run that has started is finished (an
   * ONNX Runtime call cannot be interrupted safely), may have changed the state, and so resolves as if the signal had not fired.
   */
  readonly signal?: AbortSignal;
}

/** What a run returns. */
export interface RunResult {
  /** Outputs by name, without those that went into the state. */
  readonly outputs: Readonly<Record<string, Tensor>>;
  /** Whether the updates were committed; true for programs without updates. */
  readonly committed: boolean;
  /** Wall time of the runtime's call in seconds, without the message passing. */
  readonly seconds: number;
}

/** Named tensors that stay beside the programs (weights, optimizer state), shared by all programs of the device. */
export interface State extends AsyncDisposable {
  /**
   * Reads copies of the named slots, all by default.
   * @throws CadreError `not-found` for a slot that is not there.
   */
  read(names?: readonly string[]): Promise<ReadonlyMap<string, Tensor>>;
  /** Adds or replaces slots, by copies. */
  write(tensors: ReadonlyMap<string, Tensor>): Promise<void>;
  close(): Promise<void>;
}

/** A compiled graph. Calls are queued: one runs at a time on a device. */
export interface Program extends AsyncDisposable {
  /** Inputs of the graph, in order. */
  readonly inputs: readonly string[];
  /** Outputs of the graph, in order. */
  readonly outputs: readonly string[];
  /**
   * Runs the graph once. The feeds are copied at the call: the caller keeps his arrays and may change them at once.
   * @throws CadreError `invalid-argument` (missing or unknown feed, wrong dtype or shape, or ONNX Runtime refused the data), `out-of-memory`,
   * `aborted`, `closed`, `engine-lost`.
   */
  run(feeds: Readonly<Record<string, Tensor>>, options?: RunOptions): Promise<RunResult>;
  close(): Promise<void>;
}

/** A place where programs run: a worker thread with ONNX Runtime. Closing it closes its programs and states. */
export interface Device extends AsyncDisposable {
  readonly kind: DeviceKind;
  /** See {@link DeviceOptions.threads}. */
  readonly threads: number;
  /**
   * Compiles a serialised ONNX model (copied; the caller keeps his bytes).
   * @throws CadreError `invalid-argument` when ONNX Runtime refuses the model, or updates or guards name no fitting output;
   * `out-of-memory`, `closed`, `engine-lost`.
   */
  compile(model: Uint8Array, options?: CompileOptions): Promise<Program>;
  /** Creates a state with copies of these tensors as slots. */
  createState(tensors: ReadonlyMap<string, Tensor>): Promise<State>;
  /** Resident memory of the process in bytes, now and at its peak; a GPU's own memory is not in it. */
  memory(): Promise<{ readonly residentBytes: number; readonly peakBytes: number }>;
  close(): Promise<void>;
}

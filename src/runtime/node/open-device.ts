import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { CadreError } from "../../core/errors.js";
import { nearMiss } from "../../core/near-miss.js";
import { DEVICE_KINDS, type Device, type DeviceKind, type DeviceOptions, type State } from "../device.js";
import { compiledUrl } from "./compiled-url.js";
import { transferListOf } from "./copy-tensor.js";
import { createDeviceLock } from "./device-lock.js";
import { checkGpu } from "./gpu-check.js";
import { processMemory } from "./process-memory.js";
import { createProgram } from "./program.js";
import { copyAll, createStateHandle, type StateHandle } from "./state.js";
import type { WorkerStart } from "./worker.js";
import { connectWorker } from "./worker-client.js";
import { createWorkerFlags } from "./worker-flags.js";

/** Of all WebGPU devices of this process. */
const webgpuLock = createDeviceLock();

/**
 * Starts a worker thread with ONNX Runtime. Any number of devices can be open; each has its own threads, but WebGPU devices run one after the
 * other. A GPU is tried in a process of its own first, which takes about a second.
 * @throws CadreError `invalid-argument` for threads below 1 or a kind that does not exist; `unavailable`, with the reason in words, when ONNX
 * Runtime or the GPU does not work on this machine.
 * @example
 * await using device = await openDevice({ threads: 2 });
 * await using program = await device.compile(model);
 * const { outputs } = await program.run({ x: tensor("float32", [1, 2], new Float32Array([1, 2])) });
 */
export async function openDevice(options: DeviceOptions = {}): Promise<Device> {
  const { kind = "cpu", threads = availableParallelism() } = options;
  checkDeviceKind(kind, "openDevice");
  if (!Number.isSafeInteger(threads) || threads < 1) {
    throw new CadreError(
      "invalid-argument",
      `openDevice: expected threads of 1 or more, got ${threads}; leave it out for all`,
    );
  }
  if (kind !== "cpu") await checkGpu(kind);
  const start: WorkerStart = { flags: createWorkerFlags(), ...(kind === "webgpu" ? { lock: webgpuLock } : {}) };
  // Loaders that the caller's process was started with (a TypeScript runner, say) are of no use to the compiled worker.
  const worker = new Worker(compiledUrl("worker.js"), { name: "cadre-engine", workerData: start, execArgv: [] });
  const client = connectWorker(worker, start);
  try {
    await client.call("open", { request: { kind, threads } });
  } catch (error) {
    await client.close();
    throw error;
  }

  let lastNumber = 0;
  const handles = new WeakMap<State, StateHandle>();
  const close = () => client.close();
  return {
    kind,
    threads,

    async compile(model, compileOptions = {}) {
      const number = ++lastNumber;
      const name = compileOptions.name ?? `program ${number}`;
      const copy = new Uint8Array(model);
      const request = { program: number, name, model: copy, options: compileOptions };
      const signature = await client.call("compile", { request, transfer: [copy.buffer] });
      return createProgram(client, { number, name, signature, handleOf: (state) => handles.get(state) });
    },

    async createState(tensors) {
      const number = ++lastNumber;
      const copies = copyAll(tensors);
      await client.call("createState", {
        request: { state: number, tensors: copies },
        transfer: transferListOf(copies.values()),
      });
      const handle = createStateHandle(client, number);
      handles.set(handle.state, handle);
      return handle.state;
    },

    async memory() {
      return processMemory();
    },

    close,
    [Symbol.asyncDispose]: close,
  };
}

/**
 * Checks what may come from outside.
 * @param where what asks, for the message
 * @throws CadreError `invalid-argument` naming the kinds, and the one that was probably meant
 */
export function checkDeviceKind(kind: string, where: string): asserts kind is DeviceKind {
  if (DEVICE_KINDS.some((known) => known === kind)) return;
  const meant = nearMiss(kind, DEVICE_KINDS);
  const question = meant === undefined ? "" : `; did you mean ${meant}?`;
  throw new CadreError(
    "invalid-argument",
    `${where}: expected one of ${DEVICE_KINDS.join(", ")}, got "${kind}"${question}`,
  );
}

import type * as OnnxRuntime from "onnxruntime-node";
import { CadreError } from "../../core/errors.js";
import type { Tensor } from "../../tensors/tensor.js";
import { compileProgram, type EngineProgram } from "./engine-program.js";
import { gpuMemory } from "./gpu-memory.js";
import { explainLoadFailure } from "./load-failure.js";
import type { CallName, RequestOf, ResultOf } from "./messages.js";
import { currentPlatform } from "./platform.js";
import { runProgram } from "./run-program.js";
import { processorMemory, type SlotMemory, type Slots } from "./slot-memory.js";
import { tryStart } from "./start-flag.js";

/** What a call produced, and the tensors whose memory may move to the caller. */
export interface Answer<C extends CallName> {
  readonly result: ResultOf<C>;
  readonly moved?: Iterable<Tensor>;
}

/** The worker's side of every call. Calls are made one after the other. */
export type Engine = { readonly [C in CallName]: (request: RequestOf<C>) => Promise<Answer<C>> };

const DONE = { result: undefined };

/** Programs and states by number. @param loadRuntime Imports ONNX Runtime; called once, by the first call. */
export function createEngine(loadRuntime: () => Promise<typeof OnnxRuntime>): Engine {
  let opened: (RequestOf<"open"> & { readonly ort: typeof OnnxRuntime; readonly memory: SlotMemory }) | undefined;
  const programs = new Map<number, EngineProgram>();
  const states = new Map<number, Slots>();

  const runtime = () => opened ?? missing("device");
  /** All of them or, when one fails, none. */
  const write = async (slots: Slots, tensors: ReadonlyMap<string, Tensor>) => {
    const { memory } = runtime();
    const written: Slots = new Map();
    const kept = new Set(slots.values());
    try {
      for (const [name, tensor] of tensors) written.set(name, await memory.hold(tensor));
    } catch (error) {
      memory.free(written.values(), kept);
      throw error;
    }
    for (const [name, slot] of written) slots.set(name, slot);
    memory.free(kept, new Set(slots.values()));
    return DONE;
  };
  const freeState = (number: number) => {
    const slots = states.get(number);
    states.delete(number);
    if (slots !== undefined) opened?.memory.free(slots.values(), new Set());
  };

  return {
    async open({ kind, threads }) {
      try {
        const ort = await loadRuntime();
        opened = { ort, kind, threads, memory: kind === "webgpu" ? gpuMemory(ort) : processorMemory(ort) };
      } catch (cause) {
        const { reason, advice } = explainLoadFailure(
          cause instanceof Error ? cause.message : String(cause),
          currentPlatform(),
        );
        throw new CadreError("unavailable", `openDevice: ${reason}; ${advice} (cadre doctor tells more)`, { cause });
      }
      return DONE;
    },

    async compile({ program, name, model, options }) {
      const compiled = await compileProgram({ name, model, options }, runtime());
      programs.set(program, compiled);
      return { result: { inputs: compiled.session.inputNames, outputs: compiled.session.outputNames } };
    },

    async run({ program, state, feeds, start }) {
      if (start !== undefined && !tryStart(start))
        throw new CadreError("aborted", "the run was aborted before it started");
      const slots = state === undefined ? undefined : (states.get(state) ?? missing("state"));
      const result = await runProgram(programs.get(program) ?? missing("program"), {
        feeds,
        slots,
        ...runtime(),
      });
      return { result, moved: Object.values(result.outputs) };
    },

    async closeProgram({ program }) {
      const compiled = programs.get(program);
      programs.delete(program);
      if (compiled === undefined) return DONE;
      await opened?.memory.leave(compiled.session, states.values());
      await compiled.release();
      return DONE;
    },

    async createState({ state, tensors }) {
      const slots: Slots = new Map();
      await write(slots, tensors);
      states.set(state, slots);
      return DONE;
    },

    async writeState({ state, tensors }) {
      return write(states.get(state) ?? missing("state"), tensors);
    },

    async readState({ state, names }) {
      const slots = states.get(state) ?? missing("state");
      const result = new Map<string, Tensor>();
      for (const name of names ?? slots.keys()) {
        const slot = slots.get(name);
        if (slot === undefined) {
          throw new CadreError(
            "not-found",
            `read: expected slots of the state, got "${name}"; it has ${[...slots.keys()].join(", ")}`,
          );
        }
        result.set(name, await runtime().memory.read(slot));
      }
      return { result, moved: result.values() };
    },

    async closeState({ state }) {
      freeState(state);
      return DONE;
    },

    async shutdown() {
      for (const state of [...states.keys()]) freeState(state);
      for (const program of programs.values()) await program.release();
      programs.clear();
      await opened?.memory.close();
      return DONE;
    },
  };
}

/** The caller's side refuses the use of closed things first, so that this is a fault in Cadre. */
function missing(what: string): never {
  throw new CadreError("internal", `the engine has no such ${what}`);
}

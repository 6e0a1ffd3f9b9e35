import type * as OnnxRuntime from "onnxruntime-node";
import { CadreError } from "../../core/errors.js";
import type { Tensor } from "../../tensors/tensor.js";
import { copyTensor } from "./copy-tensor.js";
import { fromOrtTensor, toOrtTensor } from "./ort-tensor.js";

/** A state in the worker. */
export type Slots = Map<string, OnnxRuntime.Tensor>;

/** What becomes a slot's content. */
export interface SlotUpdate {
  readonly name: string;
  /** What the slot holds now. */
  readonly slot: OnnxRuntime.Tensor | undefined;
  /** One output, or several whose rows, one after the other, make the content. */
  readonly outputs: readonly [OnnxRuntime.Tensor, ...OnnxRuntime.Tensor[]];
  /** What made the outputs. */
  readonly session: OnnxRuntime.InferenceSession;
  /** What runs, for messages. */
  readonly where: string;
}

/** A slot's new content. */
export interface Replacement {
  readonly content: OnnxRuntime.Tensor;
  /** To be called before the content is used; cannot fail. */
  complete(): void;
}

/** Where a device keeps the slots of its states between runs. */
export interface SlotMemory {
  /** A slot's content from a tensor that nobody else uses any more. */
  hold(tensor: Tensor): Promise<OnnxRuntime.Tensor>;
  /** A copy of a slot's content. */
  read(slot: OnnxRuntime.Tensor): Promise<Tensor>;
  /**
   * Prepares a slot's new content; the state changes only when it is put in place.
   * @throws CadreError `invalid-argument` for parts that do not make up the slot.
   */
  replacement(update: SlotUpdate): Promise<Replacement>;
  /** Before a session is released: moves the slots that lie in its memory, which goes with it. */
  leave(session: OnnxRuntime.InferenceSession, states: Iterable<Slots>): Promise<void>;
  /** Gives back what none of the slots `kept` uses. */
  free(tensors: Iterable<OnnxRuntime.Tensor>, kept: ReadonlySet<OnnxRuntime.Tensor>): void;
  close(): Promise<void>;
}

/** Slots as arrays of JavaScript, which ONNX Runtime reads where they are. */
export function processorMemory(ort: typeof OnnxRuntime): SlotMemory {
  return {
    hold: async (tensor) => toOrtTensor(tensor, ort.Tensor),
    read: async (slot) => copyTensor(fromOrtTensor(slot)),

    async replacement(update) {
      const { outputs } = update;
      if (outputs.length === 1) return settled(outputs[0]);
      const content = slotOfParts(update);
      const target = content.data;
      const complete = (): void => {
        let offset = 0;
        for (const { data } of outputs) {
          if (target instanceof Float32Array && data instanceof Float32Array) target.set(data, offset);
          offset += data.length;
        }
      };
      // Large slots come in parts because fresh memory is what costs, so they are written over in place.
      return { content, complete };
    },

    async leave() {},
    free() {},
    async close() {},
  };
}

/** Content that is complete as it is. */
export function settled(content: OnnxRuntime.Tensor): Replacement {
  return { content, complete() {} };
}

/** The slot that the parts make up. @throws CadreError `invalid-argument` where they do not */
export function slotOfParts({ name, slot, outputs, where }: SlotUpdate): OnnxRuntime.Tensor {
  const length = outputs.reduce((sum, { size }) => sum + size, 0);
  if (slot?.type !== "float32" || slot.size !== length || outputs.some(({ type }) => type !== "float32")) {
    throw new CadreError(
      "invalid-argument",
      `${where}: expected parts that make up slot "${name}", got ${length} elements`,
    );
  }
  return slot;
}

import { create, toBinary } from "@bufbuild/protobuf";
import type * as OnnxRuntime from "onnxruntime-node";
import { CadreError } from "../../core/errors.js";
import { AttributeProto_AttributeType, ModelProtoSchema } from "../../graph/onnx_pb.js";
import { onnxDataType } from "../../graph/onnx-types.js";
import { type DType, isDType } from "../../tensors/dtype.js";
import { copyTensor } from "./copy-tensor.js";
import { fromOrtTensor, toOrtTensor } from "./ort-tensor.js";
import { type SlotMemory, settled, slotOfParts } from "./slot-memory.js";
import { wrapNativeError } from "./wire-error.js";

/** Where ONNX Runtime leaves an output. */
export type OutputLocation = "cpu" | "gpu-buffer";

/** What onnxruntime-common takes in a buffer on the GPU; other slots stay in the processor's memory and are copied at every run. */
export const GPU_DTYPES: readonly DType[] = ["float32", "float16", "int32", "int64", "uint32", "uint8", "bool"];

/**
 * Slots in the GPU's memory. onnxruntime-node can take buffers that another session left there, but neither fill nor read one itself
 * (`getData` ends the process, "not implemented"), so programs of one node copy them in, out and together.
 */
export function gpuMemory(ort: typeof OnnxRuntime): SlotMemory {
  const sessions = new Map<string, OnnxRuntime.InferenceSession>();
  /** Of what programs have left: a buffer that is given back, or used, after its session ends the process (SIGSEGV). */
  const origins = new WeakMap<OnnxRuntime.Tensor, OnnxRuntime.InferenceSession>();
  const copy = async (
    tensors: readonly OnnxRuntime.Tensor[],
    { where, location }: { readonly where: string; readonly location: OutputLocation },
  ): Promise<OnnxRuntime.Tensor> => {
    const type = tensors[0]?.type ?? "";
    if (!isDType(type)) throw new CadreError("internal", `${where}: expected a tensor of numbers, got ${type}`);
    const key = `${type} ${tensors.length} ${location}`;
    try {
      const session = sessions.get(key) ?? (await createCopier(ort, { dtype: type, count: tensors.length, location }));
      sessions.set(key, session);
      const { copied } = await session.run(
        Object.fromEntries(tensors.map((tensor, index) => [`part${index}`, tensor])),
      );
      if (copied instanceof ort.Tensor) return copied;
    } catch (error) {
      throw wrapNativeError(error, { where, otherwise: "internal" });
    }
    throw new CadreError("internal", `${where}: ONNX Runtime returned no tensor`);
  };
  const upload = (tensor: OnnxRuntime.Tensor, where: string): Promise<OnnxRuntime.Tensor> | OnnxRuntime.Tensor =>
    GPU_DTYPES.some((dtype) => dtype === tensor.type) ? copy([tensor], { where, location: "gpu-buffer" }) : tensor;

  return {
    hold: async (tensor) => upload(toOrtTensor(tensor, ort.Tensor), "State.write"),

    async read(slot) {
      const where = "State.read";
      return slot.location === "cpu"
        ? copyTensor(fromOrtTensor(slot))
        : fromOrtTensor(await copy([slot], { where, location: "cpu" }));
    },

    async replacement(update) {
      const { outputs, session, where } = update;
      if (outputs.length > 1) {
        slotOfParts(update);
        return settled(await copy(outputs, { where, location: "gpu-buffer" }));
      }
      const [whole] = outputs;
      if (whole.location === "cpu") return settled(await upload(whole, where));
      origins.set(whole, session);
      return settled(whole);
    },

    async leave(session, states) {
      const moved = new Map<OnnxRuntime.Tensor, OnnxRuntime.Tensor>();
      for (const slots of states) {
        for (const [name, slot] of slots) {
          if (origins.get(slot) !== session) continue;
          const copied = moved.get(slot) ?? (await copy([slot], { where: "Program.close", location: "gpu-buffer" }));
          moved.set(slot, copied);
          slots.set(name, copied);
        }
      }
      for (const slot of moved.keys()) slot.dispose();
    },

    free(tensors, kept) {
      for (const tensor of new Set(tensors)) {
        if (tensor.location === "gpu-buffer" && !kept.has(tensor)) tensor.dispose();
      }
    },

    async close() {
      for (const session of sessions.values()) await session.release();
      sessions.clear();
    },
  };
}

/** A session that lays tensors of any equal rank behind each other along their first axis; one is copied as it is. */
function createCopier(
  ort: typeof OnnxRuntime,
  { dtype, count, location }: { readonly dtype: DType; readonly count: number; readonly location: OutputLocation },
): Promise<OnnxRuntime.InferenceSession> {
  const typed = (name: string) => ({
    name,
    type: { value: { case: "tensorType" as const, value: { elemType: onnxDataType(dtype) } } },
  });
  const parts = Array.from({ length: count }, (_, index) => `part${index}`);
  const axis = { name: "axis", type: AttributeProto_AttributeType.INT, i: 0n };
  const node =
    count === 1
      ? { opType: "Identity", input: parts, output: ["copied"] }
      : { opType: "Concat", input: parts, output: ["copied"], attribute: [axis] };
  const model = create(ModelProtoSchema, {
    irVersion: 10n,
    opsetImport: [{ domain: "", version: 21n }],
    graph: { name: "copy", input: parts.map(typed), output: [typed("copied")], node: [node] },
  });
  return ort.InferenceSession.create(toBinary(ModelProtoSchema, model), {
    executionProviders: ["webgpu"],
    preferredOutputLocation: { copied: location },
    graphOptimizationLevel: "disabled",
    logSeverityLevel: 4,
  });
}

import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { type GraphProto, ModelProtoSchema } from "../../graph/onnx_pb.js";
import { onnxDataType } from "../../graph/onnx-types.js";
import type { CompileOptions } from "../device.js";
import { lowerForWebgpu } from "../webgpu-lowering.js";
import { GPU_DTYPES, type OutputLocation } from "./gpu-memory.js";

/**
 * A model as WebGPU runs it best, and where its outputs stay: those that replace slots on the GPU, unless their dtype does not fit there or a
 * guard reads them.
 */
export function prepareForWebgpu(
  bytes: Uint8Array,
  { updates = {}, guards = [] }: CompileOptions,
): { readonly bytes: Uint8Array; readonly locations: Readonly<Record<string, OutputLocation>> } {
  const model = fromBinary(ModelProtoSchema, bytes);
  lowerForWebgpu(model);
  const kept = new Set(Object.values(updates).flat());
  const locations: Record<string, OutputLocation> = {};
  for (const { name, type } of model.graph?.output ?? []) {
    const onGpu = kept.has(name) && !guards.includes(name) && fits(type);
    locations[name] = onGpu ? "gpu-buffer" : "cpu";
  }
  return { bytes: toBinary(ModelProtoSchema, model), locations };
}

const FITTING: ReadonlySet<number> = new Set(GPU_DTYPES.map(onnxDataType));

function fits(type: GraphProto["output"][number]["type"]): boolean {
  return type?.value.case === "tensorType" && FITTING.has(type.value.value.elemType);
}

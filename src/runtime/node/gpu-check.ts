import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { CadreError } from "../../core/errors.js";
import type { DeviceKind } from "../device.js";
import { explainCudaFailure, explainWebgpuFailure, SWIFTSHADER } from "./gpu-failure.js";
import { type Explanation, explainLoadFailure } from "./load-failure.js";
import { currentPlatform, type Platform } from "./platform.js";
import { type ProbeResult, probeRuntime } from "./runtime-probe.js";

/** A device that is not the processor. */
export type GpuKind = Exclude<DeviceKind, "cpu">;

/**
 * Runs a product on a GPU in a process of its own (about a second), because a driver that fails may end the process that it fails in.
 * @throws CadreError `unavailable` saying why it does not work and what to do.
 */
export async function checkGpu(kind: GpuKind): Promise<void> {
  const trial = await probeRuntime(kind);
  if (trial.ok) return;
  // Whether this build has the device at all, only a process that loads it can tell.
  const runtime = await probeRuntime("load");
  const platform = currentPlatform();
  const { reason, advice } = runtime.ok
    ? explainGpuFailure(kind, {
        trial,
        runtime,
        platform,
        hasCudaLibraries: hasCudaLibraries(runtimeFolder(), platform),
        hasSwiftShader: hasSwiftShader(),
      })
    : explainLoadFailure(runtime.failure, platform);
  throw new CadreError("unavailable", `openDevice: ${kind}: ${reason}; ${advice} (cadre doctor tells more)`, {
    details: { kind, failure: trial.failure },
  });
}

/** Why a GPU's trial failed where ONNX Runtime itself loads. */
export function explainGpuFailure(
  kind: GpuKind,
  {
    trial,
    runtime,
    platform,
    hasCudaLibraries: hasLibraries,
    hasSwiftShader: hasSoftwareDriver,
  }: {
    readonly trial: Extract<ProbeResult, { ok: false }>;
    readonly runtime: Extract<ProbeResult, { ok: true }>;
    readonly platform: Platform;
    readonly hasCudaLibraries: boolean;
    readonly hasSwiftShader: boolean;
  },
): Explanation {
  const failure = { offered: runtime.devices.includes(kind), failure: trial.failure };
  return kind === "webgpu"
    ? explainWebgpuFailure(failure, { platform, hasSwiftShader: hasSoftwareDriver })
    : explainCudaFailure(failure, { platform, hasLibraries });
}

/** Where onnxruntime-node is installed, whether or not it loads. */
export function runtimeFolder(): string | undefined {
  try {
    return dirname(createRequire(import.meta.url).resolve("onnxruntime-node/package.json"));
  } catch {
    return undefined;
  }
}

/** Whether onnxruntime-node has its CUDA libraries beside it. @param packageFolder of `runtimeFolder` */
export function hasCudaLibraries(packageFolder: string | undefined, { os, arch }: Platform): boolean {
  const library = `bin/napi-v6/${os}/${arch}/libonnxruntime_providers_cuda.so`;
  return packageFolder !== undefined && existsSync(join(packageFolder, library));
}

/** Whether the driver that Debian's chromium brings is there. */
export function hasSwiftShader(): boolean {
  return existsSync(SWIFTSHADER);
}

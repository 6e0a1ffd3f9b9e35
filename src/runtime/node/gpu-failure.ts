import { type Explanation, firstLine, packageOf } from "./load-failure.js";
import type { Platform } from "./platform.js";

/** SwiftShader as Debian's chromium brings it: a Vulkan driver that computes on the processor. */
export const SWIFTSHADER = "/usr/lib/chromium/vk_swiftshader_icd.json";

const GPU_DRIVERS =
  "for a GPU install its driver (AMD, Intel: mesa-vulkan-drivers on Debian and Ubuntu; NVIDIA: its own), in a container also pass the GPU in " +
  "(--device /dev/dri, or --gpus all with NVIDIA_DRIVER_CAPABILITIES=all)";

/** A try to run a product on a GPU that failed. */
export interface GpuFailure {
  /** Whether this build of ONNX Runtime lists the device. */
  readonly offered: boolean;
  /** The error and what the native library wrote to stderr. */
  readonly failure: string;
}

/**
 * Why ONNX Runtime's `webgpu` does not work. What the Vulkan loader and Dawn write tells missing, idle and refused drivers apart.
 * @param hasSwiftShader whether {@link SWIFTSHADER} is there
 */
export function explainWebgpuFailure(
  { offered, failure }: GpuFailure,
  { platform: { os, arch }, hasSwiftShader }: { readonly platform: Platform; readonly hasSwiftShader: boolean },
): Explanation {
  if (!offered) return { reason: `this build of ONNX Runtime (${os}/${arch}) has no webgpu`, advice: "use the cpu" };
  const isLoaderMissing = /libvulkan\.so/.test(failure);
  if (!isLoaderMissing && !/No supported adapters|Failed to get a WebGPU adapter/i.test(failure)) {
    return { reason: `ONNX Runtime failed: ${firstLine(failure)}`, advice: "use the cpu" };
  }
  if (os !== "linux") return { reason: "no GPU was found", advice: "update the graphics driver" };
  const drivers = `${GPU_DRIVERS}; without a GPU, for tests: ${swiftShaderAdvice(hasSwiftShader)}`;
  if (isLoaderMissing) {
    return {
      reason: "the Vulkan loader (libvulkan.so.1) is missing",
      advice: `install ${packageOf("libvulkan.so.1")} and a driver: ${drivers}`,
    };
  }
  // Dawn's reason stands above the line that says what it was about.
  const refusal = /^(?:Warning: )?(.+?)\.?\n.*While initializing adapter \(backend=BackendType::Vulkan\)/m.exec(
    failure,
  )?.[1];
  if (refusal !== undefined) {
    return {
      reason: `ONNX Runtime refuses the Vulkan driver that it found (${firstLine(refusal)})`,
      advice: `use a newer driver (the one of Debian 12 that computes on the processor, Mesa 22.3, is too old); ${drivers}`,
    };
  }
  if (/Found no drivers|VK_ERROR_INCOMPATIBLE_DRIVER/.test(failure)) {
    const absent = /Failed to open JSON file (\S+)/.exec(failure)?.[1];
    return absent === undefined
      ? { reason: "no Vulkan driver is installed", advice: drivers }
      : {
          reason: `the Vulkan driver ${absent} is not there`,
          advice: "correct VK_ICD_FILENAMES or VK_DRIVER_FILES, or unset it",
        };
  }
  return { reason: "no installed Vulkan driver finds a GPU", advice: drivers };
}

function swiftShaderAdvice(isThere: boolean): string {
  const use = `VK_ICD_FILENAMES=${SWIFTSHADER} computes on the processor, slowly`;
  return isThere ? use : `on Debian apt-get install chromium libvulkan1, then ${use}`;
}

/** Why ONNX Runtime's `cuda` does not work. @param hasLibraries whether onnxruntime-node has its CUDA libraries beside it */
export function explainCudaFailure(
  { offered, failure }: GpuFailure,
  { platform: { os, arch }, hasLibraries }: { readonly platform: Platform; readonly hasLibraries: boolean },
): Explanation {
  if (!offered || os !== "linux" || arch !== "x64") {
    return {
      reason: `ONNX Runtime for Node has CUDA on linux/x64 only, this is ${os}/${arch}`,
      advice: "use the cpu or webgpu",
    };
  }
  if (!hasLibraries) {
    return {
      reason: "the CUDA libraries of onnxruntime-node are not installed",
      advice: "ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node (loads them from nuget.org)",
    };
  }
  const library = /(lib[\w.+-]+): cannot open shared object file/.exec(failure)?.[1];
  if (library !== undefined) {
    return {
      reason: `the system library ${library} is missing`,
      advice: "install NVIDIA's driver, CUDA 12 and cuDNN 9, and name their folder in LD_LIBRARY_PATH",
    };
  }
  if (/no CUDA-capable device|driver version is insufficient|CUDA failure \d+/i.test(failure)) {
    return {
      reason: "no NVIDIA GPU with a fitting driver was found",
      advice: "install NVIDIA's driver for CUDA 12; in a container pass the GPU in (--gpus all)",
    };
  }
  return {
    reason: `ONNX Runtime failed: ${firstLine(failure)}`,
    advice: "check the driver with nvidia-smi, or use the cpu",
  };
}

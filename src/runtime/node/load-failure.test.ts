import { expect, test } from "vitest";
import { createEngine } from "./engine.js";
import { explainCudaFailure, explainWebgpuFailure } from "./gpu-failure.js";
import { explainLoadFailure } from "./load-failure.js";
import { currentPlatform } from "./platform.js";

const linux = { os: "linux", arch: "x64", isMusl: false };
const ofFile = (text: string) => `/app/node_modules/onnxruntime-node/bin/napi-v6/linux/x64/${text}`;

test.each([
  [
    "musl",
    { ...linux, isMusl: true },
    "Error loading shared library ld-linux-x86-64.so.2: No such file or directory (needed by /app/libonnxruntime.so.1)",
    "no build for musl (Alpine)",
    "glibc image",
  ],
  [
    "darwin/x64",
    { os: "darwin", arch: "x64", isMusl: false },
    "Cannot find module '../bin/napi-v6/darwin/x64/onnxruntime_binding.node'",
    "no build for darwin/x64",
    "Apple silicon",
  ],
  ["freebsd", { os: "freebsd", arch: "x64", isMusl: false }, "Cannot find module", "no build for freebsd/x64", "Linux"],
  [
    "a system library",
    linux,
    "libstdc++.so.6: cannot open shared object file: No such file or directory",
    "libstdc++.so.6 is missing",
    "libstdc++6",
  ],
  [
    "a library without a known package",
    linux,
    "libx.so.3: cannot open shared object file",
    "libx.so.3 is",
    "package with libx",
  ],
  [
    "its own library",
    linux,
    "libonnxruntime.so.1: cannot open shared object file",
    "libonnxruntime.so.1 of",
    "npm install",
  ],
  [
    "an old system",
    linux,
    `/lib/x86_64-linux-gnu/libm.so.6: version \`GLIBC_2.29' not found (required by ${ofFile("libonnxruntime.so.1")})`,
    "too old: GLIBC_2.29",
    "newer system",
  ],
  ["a damaged file", linux, ofFile("libonnxruntime.so.1: file too short"), "damaged", "npm install"],
  [
    "a missing binding",
    linux,
    "Cannot find module '../bin/napi-v6/linux/x64/onnxruntime_binding.node'",
    "missing",
    "anew",
  ],
  [
    "no package",
    linux,
    "Cannot find package 'onnxruntime-node' imported from /app/x.js",
    "not installed",
    "npm install",
  ],
  [
    "noexec",
    linux,
    ofFile("onnxruntime_binding.node: failed to map segment from shared object"),
    "does not allow native code",
    "noexec",
  ],
  [
    "Windows",
    { os: "win32", arch: "x64", isMusl: false },
    "The specified module could not be found.\r\n\\\\?\\C:\\app\\onnxruntime_binding.node",
    "a library that",
    "Visual C++",
  ],
  ["an old processor", linux, "its process ended by SIGILL\n", "lacks instructions", "newer processor"],
  ["anything else", linux, "odd\n    at stack (x.js:1)", "does not load: odd", "cadre doctor --json"],
])("%s: words instead of the loader's error", (_, platform, failure, reason, advice) => {
  const explained = explainLoadFailure(failure, platform);
  expect(explained.reason).toContain(reason);
  expect(explained.advice).toContain(advice);
  expect(JSON.stringify(explained)).not.toMatch(/dlopen|shared object|at stack/);
});

test("openDevice says the same words", async () => {
  const failure = "libgomp.so.1: cannot open shared object file: No such file or directory";
  const engine = createEngine(() => Promise.reject(new Error(failure)));
  const { reason, advice } = explainLoadFailure(failure, currentPlatform());
  await expect(engine.open({ kind: "cpu", threads: 1 })).rejects.toMatchObject({
    code: "unavailable",
    message: `openDevice: ${reason}; ${advice} (cadre doctor tells more)`,
  });
});

const noAdapter = "Failed to get a WebGPU adapter: No supported adapters\n";
const loaderNoise = "error: XDG_RUNTIME_DIR is invalid or not set in the environment.\n";

// As onnxruntime-node 1.30 and libvulkan1 1.3.239 write them.
test.each([
  ["not in the build", false, "", "has no webgpu", "cpu"],
  [
    "no loader",
    true,
    `${noAdapter}Warning: Couldn't load Vulkan: libvulkan.so.1: cannot open shared object file`,
    "libvulkan.so.1) is missing",
    "libvulkan1",
  ],
  [
    "no driver",
    true,
    `${noAdapter}Warning: vkCreateInstance: Found no drivers!\nWarning: vkCreateInstance failed with VK_ERROR_INCOMPATIBLE_DRIVER\n`,
    "no Vulkan driver is installed",
    "mesa-vulkan-drivers",
  ],
  [
    "a driver that is named and not there",
    true,
    `${noAdapter}Warning: loader_get_json: Failed to open JSON file /x/icd.json\nWarning: vkCreateInstance: Found no drivers!\n`,
    "the Vulkan driver /x/icd.json is not there",
    "VK_ICD_FILENAMES",
  ],
  [
    "drivers without a GPU",
    true,
    `${noAdapter}Error: Loader Message: setup_loader_term_phys_devs:  Failed to detect any valid GPUs in the current config\n`,
    "no installed Vulkan driver finds a GPU",
    "--device /dev/dri",
  ],
  [
    "Debian 12's driver for the processor",
    true,
    `${noAdapter}${loaderNoise}Warning: Vulkan shaderUniform*ArrayDynamicIndexing required.\n - While initializing adapter (backend=BackendType::Vulkan)\n`,
    "refuses the Vulkan driver that it found (Vulkan shaderUniform*ArrayDynamicIndexing required)",
    "apt-get install chromium libvulkan1, then VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json",
  ],
  ["anything else", true, "odd\nstack", "failed: odd", "cpu"],
])("webgpu, %s", (_, offered, failure, reason, advice) => {
  const explained = explainWebgpuFailure({ offered, failure }, { platform: linux, hasSwiftShader: false });
  expect(explained.reason).toContain(reason);
  expect(explained.advice).toContain(advice);
  expect(JSON.stringify(explained)).not.toMatch(/vkCreateInstance|loader_get_json|shared object|XDG/);
});

test("webgpu without a GPU on macOS: nothing about Vulkan", () => {
  const platform = { os: "darwin", arch: "arm64", isMusl: false };
  const explained = explainWebgpuFailure({ offered: true, failure: noAdapter }, { platform, hasSwiftShader: false });
  expect(explained).toEqual({ reason: "no GPU was found", advice: "update the graphics driver" });
});

test.each([
  ["another system", { os: "darwin", arch: "arm64", isMusl: false }, true, "odd", "linux/x64 only"],
  ["no libraries of onnxruntime-node", linux, false, "Failed to load shared library", "not installed"],
  [
    "no cuDNN",
    linux,
    true,
    "Failed to load library: libcudnn.so.9: cannot open shared object file",
    "libcudnn.so.9 is missing",
  ],
  ["no GPU", linux, true, "CUDA failure 100: no CUDA-capable device is detected", "no NVIDIA GPU"],
  ["anything else", linux, true, "odd\nstack", "failed: odd"],
])("cuda, %s", (_, platform, hasLibraries, failure, reason) => {
  const explained = explainCudaFailure({ offered: true, failure }, { platform, hasLibraries });
  expect(explained.reason).toContain(reason);
});

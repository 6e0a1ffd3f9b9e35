import { expect, test } from "vitest";
import { wrapNativeError } from "./wire-error.js";

test.each([
  ["WebGPU device lost (2): the driver was reset", "engine-lost", /lost it \(WebGPU device lost.*open another device/],
  ["Failed to download data from buffer. wgpu::MapAsyncStatus value: 4", "engine-lost", /open another device/],
  ["CUDA failure 719: unspecified launch failure ; GPU=0", "engine-lost", /open another device/],
  [
    "Buffer size (1100000000) exceeds the max buffer size limit (1073741824).",
    "out-of-memory",
    /max buffer size limit/,
  ],
  ["vkAllocateMemory failed with VK_ERROR_OUT_OF_DEVICE_MEMORY", "out-of-memory", /smaller batch/],
  ["Invalid Feed Input Name: lost", "invalid-argument", /Invalid Feed Input Name/],
])("%s is %s", (text, code, message) => {
  const error = wrapNativeError(new Error(text), { where: "run(step)", otherwise: "invalid-argument" });
  expect(error.code).toBe(code);
  expect(error.message).toMatch(message);
  expect(error.message).toMatch(/^run\(step\): /);
});

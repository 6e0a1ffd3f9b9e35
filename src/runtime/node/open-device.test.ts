import { expect, test } from "vitest";
import { checkDeviceKind, openDevice } from "./open-device.js";

test.each([
  ["gpu", 'openDevice: expected one of cpu, webgpu, cuda, got "gpu"; did you mean webgpu?'],
  ["web-gpu", 'openDevice: expected one of cpu, webgpu, cuda, got "web-gpu"; did you mean webgpu?'],
  ["CUDA", 'openDevice: expected one of cpu, webgpu, cuda, got "CUDA"; did you mean cuda?'],
  ["vulkan", 'openDevice: expected one of cpu, webgpu, cuda, got "vulkan"'],
  ["", 'openDevice: expected one of cpu, webgpu, cuda, got ""'],
])("the kind %j is refused", (kind, message) => {
  expect(() => checkDeviceKind(kind, "openDevice")).toThrow(
    expect.objectContaining({ code: "invalid-argument", message }),
  );
});

test.each(["cpu", "webgpu", "cuda"] as const)(
  "threads are checked before a device of kind %s is tried",
  async (kind) => {
    await expect(openDevice({ kind, threads: 0 })).rejects.toMatchObject({
      code: "invalid-argument",
      message: "openDevice: expected threads of 1 or more, got 0; leave it out for all",
    });
  },
);

test("a GPU that does not work is refused in words", async () => {
  const cuda = await openDevice({ kind: "cuda", threads: 1 }).then(
    async (device) => {
      await device.close();
      return undefined;
    },
    (error: unknown) => error,
  );
  if (cuda === undefined) {
    console.info("skipped: this machine has CUDA");
    return;
  }
  expect(cuda).toMatchObject({
    code: "unavailable",
    message: expect.stringMatching(/^openDevice: cuda: [^\n]+; [^\n]+ \(cadre doctor tells more\)$/),
    details: { kind: "cuda" },
  });
  expect(String(cuda)).not.toMatch(/dlopen|cannot open shared object|onnxruntime_src/);
});

import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { diagnose } from "./doctor.js";
import { type DoctorFacts, type FolderFacts, folderFacts } from "./doctor-facts.js";
import { probeRuntime } from "./runtime-probe.js";

const GB = 1e9;
const noGpu = { ok: false, failure: "No supported adapters" } as const;
const healthy: DoctorFacts = {
  platform: { os: "linux", arch: "x64", isMusl: false },
  nodeVersion: "22.11.0",
  threads: { available: 8, quota: undefined },
  loadAverage: 0.2,
  memory: { total: 32 * GB, free: 20 * GB, limit: undefined },
  installedRuntime: "1.30.0",
  runtime: { ok: true, version: "1.30.0", devices: ["cpu", "webgpu", "cuda"] },
  webgpu: noGpu,
  cuda: noGpu,
  hasCudaLibraries: false,
  hasSwiftShader: false,
  cpu: { gigaflops: 402.4 },
  folders: [{ name: "cache", path: "/home/a/.cache", exists: true, writable: true, freeBytes: 50 * GB }],
};
const finding = (facts: Partial<DoctorFacts>, name: string) =>
  diagnose({ ...healthy, ...facts }).findings.find((found) => found.name === name);

test("a healthy machine without a GPU trains", () => {
  const { canTrain, findings } = diagnose(healthy);
  expect(canTrain).toBe(true);
  expect(findings.map(({ name, status }) => `${name} ${status}`)).toEqual([
    "node ok",
    "memory ok",
    "onnxruntime ok",
    "cpu ok",
    "webgpu absent",
    "cuda absent",
    "cache ok",
  ]);
  expect(finding({}, "cpu")?.text).toBe("8 threads, products at 402 GFLOP/s");
  expect(finding({ loadAverage: 7 }, "cpu")?.text).toContain("beside other programs");
  expect(finding({ webgpu: { ok: true, version: "1.30.0", devices: [] } }, "webgpu")?.status).toBe("ok");
});

test.each([
  [
    "musl",
    { os: "linux", arch: "x64", isMusl: true },
    "Error loading shared library ld-linux-x86-64.so.2",
    "musl (Alpine)",
  ],
  ["darwin/x64", { os: "darwin", arch: "x64", isMusl: false }, "Cannot find module '../bin/x.node'", "darwin/x64"],
  ["a missing library", healthy.platform, "libstdc++.so.6: cannot open shared object file", "libstdc++.so.6"],
])("%s: training fails in words, and every other line is there", (_, platform, failure, words) => {
  const lost = { ok: false, failure } as const;
  const { canTrain, findings } = diagnose({
    ...healthy,
    ...{ platform, runtime: lost, webgpu: lost, cuda: lost, cpu: { failure } },
  });
  expect(canTrain).toBe(false);
  expect(findings.map(({ name }) => name)).toEqual(["node", "memory", "onnxruntime", "cpu", "webgpu", "cuda", "cache"]);
  expect(findings[2]).toMatchObject({
    status: "failed",
    text: expect.stringContaining(words),
    advice: expect.any(String),
  });
  expect(findings[3]?.text).toContain("8 threads");
  expect(JSON.stringify(findings)).not.toMatch(/shared object|Cannot find/);
});

test("where chromium's driver is there, the advice is to name it, else to install it", () => {
  const variable = "VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json";
  expect(finding({}, "webgpu")?.advice).toContain(`apt-get install chromium libvulkan1, then ${variable}`);
  expect(finding({ hasSwiftShader: true }, "webgpu")?.advice).toContain(`for tests: ${variable}`);
});

test("little memory, a narrow container and a full disk are warnings, not failures", () => {
  expect(finding({ memory: { total: 8 * GB, free: 0.3 * GB, limit: undefined } }, "memory")).toMatchObject({
    status: "warning",
    text: "0.3 GB free of 8.0 GB",
  });
  expect(finding({ memory: { total: 8 * GB, free: 6 * GB, limit: 0.5 * GB } }, "memory")).toMatchObject({
    status: "warning",
    text: "6.0 GB free of 8.0 GB, this container may use 0.5 GB",
  });
  expect(finding({ threads: { available: 8, quota: 1.5 } }, "cpu")).toMatchObject({
    status: "warning",
    text: expect.stringContaining("the time of 1.5"),
    advice: expect.stringContaining("--threads 1"),
  });
  const folders = (changed: Partial<FolderFacts>) => ({
    folders: healthy.folders.map((folder) => ({ ...folder, ...changed })),
  });
  expect(finding(folders({ freeBytes: GB }), "cache")?.status).toBe("warning");
  expect(finding(folders({ writable: false }), "cache")?.text).toContain("not writable");
});

test.each([
  ["20.18.3", "warning"],
  ["20.19.0", "ok"],
  ["18.20.0", "warning"],
  ["22.1.0", "ok"],
  ["23.0.0", "warning"],
  ["24.3.0", "ok"],
])("Node %s: %s", (nodeVersion, status) => {
  expect(finding({ nodeVersion }, "node")?.status).toBe(status);
});

test("a product that fails on the processor is a failure", () => {
  const { canTrain, findings } = diagnose({ ...healthy, cpu: { failure: "no memory" } });
  expect(canTrain).toBe(false);
  expect(findings[3]).toMatchObject({ status: "failed", text: "8 threads; a product failed: no memory" });
});

test("folders: there, not there yet, behind a file, without permission", async () => {
  const folder = await mkdtemp(join(tmpdir(), "cadre-doctor-"));
  try {
    expect(await folderFacts("a", folder)).toMatchObject({ exists: true, writable: true });
    const later = await folderFacts("a", join(folder, "b", "c"));
    expect(later).toMatchObject({ exists: false, writable: true });
    expect(later.freeBytes).toBeGreaterThan(0);
    await writeFile(join(folder, "file"), "");
    expect(await folderFacts("a", join(folder, "file", "b"))).toMatchObject({ exists: false, writable: false });
    await chmod(folder, 0o500);
    // The superuser may write anywhere.
    const isRoot = process.getuid?.() === 0;
    expect((await folderFacts("a", folder)).writable).toBe(isRoot);
  } finally {
    await chmod(folder, 0o700);
    await rm(folder, { recursive: true });
  }
});

test("the processes that try ONNX Runtime answer on this machine", async () => {
  const loaded = await probeRuntime("load");
  expect(loaded).toMatchObject({ ok: true, devices: expect.arrayContaining(["cpu"]) });
  const gpu = await probeRuntime("webgpu");
  if (!gpu.ok) expect(gpu.failure).toMatch(/adapter|vulkan/i);
});

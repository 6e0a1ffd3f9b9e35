import { readFileSync } from "node:fs";
import { access, constants, stat, statfs } from "node:fs/promises";
import { availableParallelism, freemem, loadavg, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { systemCodeOf } from "../../core/node/system-error.js";
import { measureGemmPeak } from "../gemm-peak.js";
import { cpuQuota } from "./cpu-quota.js";
import { hasCudaLibraries, hasSwiftShader, runtimeFolder } from "./gpu-check.js";
import { openDevice } from "./open-device.js";
import { currentPlatform, type Platform } from "./platform.js";
import { type ProbeResult, probeRuntime } from "./runtime-probe.js";

/** A folder that Cadre writes to. */
export interface FolderFacts {
  /** What the folder is for, or the environment variable that names it. */
  readonly name: string;
  readonly path: string;
  /** Whether it is there; if not, the other facts are those of the folder in which it would be made. */
  readonly exists: boolean;
  readonly writable: boolean;
  /** Free space in bytes for this user; undefined where the system does not tell. */
  readonly freeBytes: number | undefined;
}

/** How fast the processor is, or why that could not be measured. */
export type CpuTrial = { readonly gigaflops: number } | { readonly failure: string };

/** What `cadre doctor` looks at. */
export interface DoctorFacts {
  readonly platform: Platform;
  /** As `process.versions.node`. */
  readonly nodeVersion: string;
  /** Processors that the system lets this process run on, and the processors' worth of time that its container allows. */
  readonly threads: { readonly available: number; readonly quota: number | undefined };
  /** Programs that wanted to run in the last minute, before the measurement; always 0 on Windows. */
  readonly loadAverage: number;
  /** Bytes; `limit` is the container's. */
  readonly memory: { readonly total: number; readonly free: number; readonly limit: number | undefined };
  /** Version of the installed package onnxruntime-node, whether or not it loads. */
  readonly installedRuntime: string | undefined;
  readonly runtime: ProbeResult;
  readonly webgpu: ProbeResult;
  readonly cuda: ProbeResult;
  /** Whether onnxruntime-node has its CUDA libraries beside it. */
  readonly hasCudaLibraries: boolean;
  /** Whether chromium's Vulkan driver for the processor is where Debian puts it. */
  readonly hasSwiftShader: boolean;
  readonly cpu: CpuTrial;
  readonly folders: readonly FolderFacts[];
}

/** Looks at this machine; about five seconds, most of them the measurement. Touches no network and writes nothing. */
export async function gatherDoctorFacts(folders: Readonly<Record<string, string>>): Promise<DoctorFacts> {
  const platform = currentPlatform();
  const packageFolder = runtimeFolder();
  const [loadAverage = 0] = loadavg();
  const runtime = await probeRuntime("load");
  // Where loading ends the process, nothing else can be tried, in this process least of all.
  const [webgpu, cuda] = runtime.ok ? [await probeRuntime("webgpu"), await probeRuntime("cuda")] : [runtime, runtime];
  const total = totalmem();
  const limit = process.constrainedMemory();
  return {
    platform,
    nodeVersion: process.versions.node,
    threads: { available: availableParallelism(), quota: cpuQuota() },
    loadAverage,
    // Without a limit Node tells 0 or some number beyond all memory.
    memory: { total, free: freemem(), limit: limit > 0 && limit < total ? limit : undefined },
    installedRuntime: packageFolder === undefined ? undefined : versionIn(packageFolder),
    runtime,
    webgpu,
    cuda,
    hasCudaLibraries: hasCudaLibraries(packageFolder, platform),
    hasSwiftShader: hasSwiftShader(),
    cpu: runtime.ok ? await tryCpu() : { failure: runtime.failure },
    folders: await Promise.all(Object.entries(folders).map(([name, path]) => folderFacts(name, path))),
  };
}

async function tryCpu(): Promise<CpuTrial> {
  try {
    await using device = await openDevice();
    return { gigaflops: await measureGemmPeak(device) };
  } catch (error) {
    return { failure: error instanceof Error ? error.message : String(error) };
  }
}

function versionIn(packageFolder: string): string | undefined {
  try {
    const { version } = JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8"));
    return typeof version === "string" ? version : undefined;
  } catch {
    return undefined;
  }
}

/** A folder's facts. Relies on what the system says of permissions; nothing is written. */
export async function folderFacts(name: string, path: string): Promise<FolderFacts> {
  const nearest = await nearestExisting(path);
  const isFolder = await stat(nearest).then(
    (found) => found.isDirectory(),
    () => false,
  );
  const writable = await access(nearest, constants.W_OK | constants.X_OK).then(
    () => isFolder,
    () => false,
  );
  const freeBytes = await statfs(nearest).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => undefined,
  );
  return { name, path, exists: nearest === path, writable, freeBytes };
}

async function nearestExisting(path: string): Promise<string> {
  for (let current = path; ; current = dirname(current)) {
    const code = await stat(current).then(
      () => undefined,
      (error: unknown) => systemCodeOf(error) ?? "unknown",
    );
    if ((code !== "ENOENT" && code !== "ENOTDIR") || current === dirname(current)) return current;
  }
}

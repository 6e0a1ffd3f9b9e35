import type { DoctorFacts, FolderFacts } from "./doctor-facts.js";
import { explainGpuFailure, type GpuKind } from "./gpu-check.js";
import { explainLoadFailure, firstLine } from "./load-failure.js";

/** Less free memory is worth a word: the pre-training of the base that ships was seen at 1.1 GB. */
export const LITTLE_MEMORY_BYTES = 2 ** 30;
/** Less free space is worth a word: the weights of a T5 of 250 million parameters take 1 GB, a checkpoint of its training as much again. */
export const LITTLE_DISK_BYTES = 2 * 2 ** 30;

/** One thing that `cadre doctor` looked at. */
export interface Finding {
  readonly name: string;
  /** `ok`; `absent`: something optional that does not work; `warning`: worth a thought; `failed`: training does not work without it. */
  readonly status: "ok" | "absent" | "warning" | "failed";
  /** In words. */
  readonly text: string;
  /** What to do, where something is to be done. */
  readonly advice?: string;
}

/** What is there, what is missing, and whether training works. */
export interface Diagnosis {
  /** Whether training on the processor works. */
  readonly canTrain: boolean;
  readonly findings: readonly Finding[];
}

/** Says in words what the facts mean. Pure. */
export function diagnose(facts: DoctorFacts): Diagnosis {
  const findings = [
    node(facts),
    memory(facts),
    ...runtime(facts),
    cpu(facts),
    gpu("webgpu", facts),
    gpu("cuda", facts),
    ...facts.folders.map(folder),
  ];
  return { canTrain: findings.every(({ status }) => status !== "failed"), findings };
}

function node({ nodeVersion }: DoctorFacts): Finding {
  const [major = 0, minor = 0] = nodeVersion.split(".").map(Number);
  const supported = major === 22 || major === 24 || (major === 20 && minor >= 19);
  if (supported) return { name: "node", status: "ok", text: nodeVersion };
  const advice = "use Node 24, 22 or 20 (20.19 or later)";
  const tooOld = major < 20 || (major === 20 && minor < 19);
  return { name: "node", status: "warning", text: `${nodeVersion}, ${tooOld ? "too old" : "not tested"}`, advice };
}

function memory({ memory: { total, free, limit } }: DoctorFacts): Finding {
  const usable = Math.min(free, limit ?? free);
  const limited = limit === undefined ? "" : `, this container may use ${gigabytes(limit)}`;
  const text = `${gigabytes(free)} free of ${gigabytes(total)}${limited}`;
  if (usable >= LITTLE_MEMORY_BYTES) return { name: "memory", status: "ok", text };
  const advice = `free some: training a small model takes about ${gigabytes(LITTLE_MEMORY_BYTES)}`;
  return { name: "memory", status: "warning", text, advice };
}

function runtime(facts: DoctorFacts): Finding[] {
  const { installedRuntime, platform } = facts;
  const name = "onnxruntime";
  if (facts.runtime.ok) {
    return [
      {
        name,
        status: "ok",
        text: `onnxruntime-node ${facts.runtime.version} loads on ${platform.os}/${platform.arch}`,
      },
    ];
  }
  const { reason, advice } = explainLoadFailure(facts.runtime.failure, platform);
  const version = installedRuntime === undefined ? "" : ` (onnxruntime-node ${installedRuntime})`;
  return [{ name, status: "failed", text: `${reason}${version}`, advice }];
}

function cpu({ threads: { available, quota }, cpu: trial, runtime: { ok }, loadAverage }: DoctorFacts): Finding {
  const limited = quota === undefined ? "" : `, this container may use the time of ${Number(quota.toFixed(2))}`;
  const text = `${available} threads${limited}`;
  const narrow = quota !== undefined && quota < available;
  const advice = narrow ? { advice: `--threads ${Math.max(1, Math.floor(quota))} avoids waiting for each other` } : {};
  if ("gigaflops" in trial) {
    const beside = loadAverage > available / 2 ? " beside other programs" : "";
    const measured = `${text}, products at ${Math.round(trial.gigaflops)} GFLOP/s${beside}`;
    return { name: "cpu", status: narrow ? "warning" : "ok", text: measured, ...advice };
  }
  if (!ok) return { name: "cpu", status: "failed", text: `${text}; not measured, as ONNX Runtime does not load` };
  return { name: "cpu", status: "failed", text: `${text}; a product failed: ${firstLine(trial.failure)}` };
}

function gpu(name: GpuKind, facts: DoctorFacts): Finding {
  const { runtime } = facts;
  const trial = facts[name];
  if (!runtime.ok) return { name, status: "absent", text: "not tried, as ONNX Runtime does not load" };
  if (trial.ok) return { name, status: "ok", text: "ONNX Runtime computes a product on it" };
  const { reason, advice } = explainGpuFailure(name, { ...facts, trial, runtime });
  return { name, status: "absent", text: reason, advice };
}

function folder({ name, path, exists, writable, freeBytes }: FolderFacts): Finding {
  const space = freeBytes === undefined ? "free space unknown" : `${gigabytes(freeBytes)} free`;
  const text = `${path}${exists ? "" : " (not there yet)"}, ${writable ? "writable" : "not writable"}, ${space}`;
  if (!writable)
    return {
      name,
      status: "warning",
      text,
      advice: "give this user the right to write there, or choose another folder",
    };
  const little = freeBytes !== undefined && freeBytes < LITTLE_DISK_BYTES;
  return little
    ? { name, status: "warning", text, advice: "free some space or choose another folder" }
    : { name, status: "ok", text };
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

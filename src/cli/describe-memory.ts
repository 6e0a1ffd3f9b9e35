import type { MemoryEstimate } from "../training/memory.js";

/** What a training would take, what there is, and whether it would be refused. */
export function describeMemory(memory: MemoryEstimate, availableBytes: number): string {
  const refused = memory.totalBytes <= availableBytes ? "" : "; it would be refused";
  return `about ${gibibytes(memory.totalBytes)} at the peak, ${gibibytes(availableBytes)} available${refused}`;
}

/** Bytes in GiB with two digits. */
export function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}

import type { MemoryEstimate } from "../training/memory.js";

/** What a training would take, what there is, and whether it would be refused. */
export function describeMemory(memory: MemoryEstimate, availableBytes: number): string {
  const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`;
  const refused = memory.totalBytes <= availableBytes ? "" : "; it would be refused";
  return `about ${gibibytes(memory.totalBytes)} at the peak, ${gibibytes(availableBytes)} available${refused}`;
}

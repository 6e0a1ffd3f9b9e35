import { readFile } from "node:fs/promises";

/** Resident memory of this process in bytes, now and at its peak. */
export async function processMemory(): Promise<{ readonly residentBytes: number; readonly peakBytes: number }> {
  const residentBytes = process.memoryUsage.rss();
  // Linux: the same source for both figures. Elsewhere getrusage, which Node reports in kilobytes on every system.
  const status = process.platform === "linux" ? await readFile("/proc/self/status", "utf8").catch(() => "") : "";
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? process.resourceUsage().maxRSS;
  return { residentBytes, peakBytes: Math.max(residentBytes, Number(kilobytes) * 1024) };
}

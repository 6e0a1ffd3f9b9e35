/** What some work cost. */
export interface Cost {
  readonly seconds: number;
  /** Processor time of the process, all threads; a thread of the runtime that waits for another one spins and counts. */
  readonly cpuSeconds: number;
}

/** Wall time, and processor time, which other programs disturb less. */
export async function measured<Result>(work: () => Promise<Result>): Promise<Cost & { readonly result: Result }> {
  const started = performance.now();
  const before = process.cpuUsage();
  const result = await work();
  const { user, system } = process.cpuUsage(before);
  return { result, seconds: (performance.now() - started) / 1000, cpuSeconds: (user + system) / 1e6 };
}

/** @param share In [0, 1]: 0.5 is the median. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

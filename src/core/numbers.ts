/** The arithmetic mean; NaN of nothing. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The smallest power of two that is no less than a number of 1 or more. */
export function powerOfTwo(least: number): number {
  let power = 1;
  while (power < least) {
    power *= 2;
  }
  return power;
}

/**
 * Where the first stop text begins that is complete: of those in a text the one that ends first, of several that end there the longest. So
 * what is found does not depend on how much of the text is there. Undefined where there is none.
 * @param options.from Nothing that ends at or before this place is found: it has been searched.
 */
export function findStop(
  text: string,
  { stop, from }: { readonly stop: readonly string[]; readonly from: number },
): number | undefined {
  let found: { readonly start: number; readonly end: number } | undefined;
  for (const one of stop) {
    const start = text.indexOf(one, Math.max(0, from - one.length + 1));
    const end = start + one.length;
    if (start >= 0 && (found === undefined || end < found.end || (end === found.end && start < found.start))) {
      found = { start, end };
    }
  }
  return found?.start;
}

/** Where the end of a text begins that could become a stop text; its length where none could. */
export function stopBeginsAt(text: string, stop: readonly string[]): number {
  const longest = Math.max(0, ...stop.map(({ length }) => length));
  for (let start = Math.max(0, text.length - longest + 1); start < text.length; start++) {
    const end = text.slice(start);
    if (stop.some((one) => one.startsWith(end))) {
      return start;
    }
  }
  return text.length;
}

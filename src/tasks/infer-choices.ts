/** Most different targets that are taken for choices. */
export const MAX_INFERRED_CHOICES = 50;
/** Rows that there must be for every choice, on average. */
export const ROWS_PER_CHOICE = 5;

/** What the targets of a task say about its choices. */
export interface InferredChoices {
  /** Sorted by code units; undefined where the targets are no choices. */
  readonly choices?: readonly string[];
  /** How many different targets there are. */
  readonly distinct: number;
  /** Why, in words. */
  readonly note: string;
}

/**
 * Takes the different targets for choices where there are 2 to {@link MAX_INFERRED_CHOICES} of them and at least {@link ROWS_PER_CHOICE} rows for each
 * on average.
 * @param targets of each row
 */
export function inferChoices(targets: Iterable<readonly string[]>): InferredChoices {
  const distinct = new Set<string>();
  let rows = 0;
  for (const list of targets) {
    rows++;
    for (const target of list) distinct.add(target);
  }
  const found = `${distinct.size} different ${distinct.size === 1 ? "answer" : "answers"} in ${rows} ${rows === 1 ? "row" : "rows"}`;
  if (distinct.size >= 2 && distinct.size <= MAX_INFERRED_CHOICES && distinct.size * ROWS_PER_CHOICE <= rows) {
    return { choices: [...distinct].sort(), distinct: distinct.size, note: found };
  }
  const rule = `choices are 2 to ${MAX_INFERRED_CHOICES} answers with at least ${ROWS_PER_CHOICE} rows for each on average`;
  return { distinct: distinct.size, note: `${found}; ${rule}` };
}

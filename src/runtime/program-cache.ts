/** Compiled programs by key, of which so many are kept as were used last: each holds its activations. */
export interface ProgramCache<Entry> {
  /** The entry of a key, compiled if it is not there. Not for two calls at once: one could close what the other uses. */
  get(key: string, compile: () => Promise<Entry>): Promise<Entry>;
  /** Closes all. */
  close(): Promise<void>;
}

/**
 * @param options.most Entries that are kept.
 * @param options.close Closes an entry's programs.
 */
export function createProgramCache<Entry>({
  most,
  close,
}: {
  readonly most: number;
  readonly close: (entry: Entry) => Promise<void>;
}): ProgramCache<Entry> {
  const entries = new Map<string, Entry>();
  return {
    async get(key, compile) {
      const entry = entries.get(key) ?? (await compile());
      // Back in at the end: the first is the one that has not been used for longest.
      entries.delete(key);
      entries.set(key, entry);
      for (const [oldKey, old] of entries) {
        if (entries.size > most) {
          entries.delete(oldKey);
          await close(old);
        }
      }
      return entry;
    },
    async close() {
      for (const entry of entries.values()) {
        await close(entry);
      }
      entries.clear();
    },
  };
}

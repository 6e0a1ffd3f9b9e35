/** Lets callers at something that only one may use at a time, in the order in which they came. */
export interface Turns {
  /** Waits until all before have released; returns what lets the next one go, to be called once in every case. */
  take(): Promise<() => void>;
  /** Takes a turn for a piece of work. A failure is its own caller's only. */
  run<Result>(work: () => Promise<Result>): Promise<Result>;
}

/** Turns that nobody has taken yet. */
export function createTurns(): Turns {
  let last: Promise<unknown> = Promise.resolve();
  const take = async (): Promise<() => void> => {
    const before = last;
    let release = (): void => {};
    last = new Promise<void>((resolve) => {
      release = resolve;
    });
    await before;
    return release;
  };
  return {
    take,
    run: async (work) => {
      const release = await take();
      try {
        return await work();
      } finally {
        release();
      }
    },
  };
}

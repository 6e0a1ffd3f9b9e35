/** Hands items from who makes them to who reads them, who may be slower. */
export interface AsyncQueue<Item> extends AsyncIterable<Item> {
  push(item: Item): void;
  /** No more items come. */
  end(): void;
  /** Reading throws, after what was pushed before. */
  fail(error: unknown): void;
}

/** An empty queue for one reader. */
export function createAsyncQueue<Item>(): AsyncQueue<Item> {
  const items: Item[] = [];
  let ended: { readonly error?: unknown } | undefined;
  let wake = (): void => {};
  const end = (how: { readonly error?: unknown }): void => {
    ended ??= how;
    wake();
  };
  return {
    push(item) {
      items.push(item);
      wake();
    },
    end: () => end({}),
    fail: (error) => end({ error }),
    async *[Symbol.asyncIterator]() {
      while (true) {
        while (items.length > 0) yield* items.splice(0);
        if (ended !== undefined) {
          if ("error" in ended) throw ended.error;
          return;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

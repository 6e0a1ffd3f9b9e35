import { at } from "../../core/at.js";
import { CadreError } from "../../core/errors.js";

/** Lets calls that come while others are answered be answered together. */
export interface Batcher<Item, Result> {
  /**
   * Waits for the answer to an item.
   * @throws CadreError `aborted`, also while it waits; what answering its batch throws.
   */
  add(item: Item, options?: { readonly signal?: AbortSignal | undefined }): Promise<Result>;
}

/** Options of {@link createBatcher}. */
export interface BatcherOptions<Item, Result> {
  /** Answers items, in their order; the signal fires when nobody waits for any of them. */
  readonly answer: (items: readonly Item[], signal: AbortSignal) => Promise<readonly Result[]>;
  /** Most items of a batch. */
  readonly most: number;
}

/** One that waits or is answered. */
interface Waiting<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
  /** Its caller has left. */
  gone: boolean;
}

/** Batches are answered one after the other, the first one as soon as the calls of this turn of the event loop have come. */
export function createBatcher<Item, Result>({ answer, most }: BatcherOptions<Item, Result>): Batcher<Item, Result> {
  let waiting: Waiting<Item, Result>[] = [];
  let members: readonly Waiting<Item, Result>[] = [];
  let abort = new AbortController();
  let busy = false;

  const answerAll = async (): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    while (waiting.length > 0) {
      members = waiting.slice(0, most);
      waiting = waiting.slice(most);
      abort = new AbortController();
      try {
        const results = await answer(
          members.map(({ item }) => item),
          abort.signal,
        );
        for (const [index, { resolve }] of members.entries()) resolve(at(results, index));
      } catch (error) {
        for (const { reject } of members) reject(error);
      }
    }
    members = [];
    busy = false;
  };

  const leave = (one: Waiting<Item, Result>, reason: unknown): void => {
    one.gone = true;
    one.reject(new CadreError("aborted", "the work was aborted", { cause: reason }));
    waiting = waiting.filter(({ gone }) => !gone);
    if (members.length > 0 && members.every(({ gone }) => gone)) abort.abort();
  };

  return {
    add: (item, { signal } = {}) =>
      new Promise<Result>((resolve, reject) => {
        if (signal?.aborted) {
          reject(new CadreError("aborted", "the work was aborted", { cause: signal.reason }));
          return;
        }
        const forget = (): void => signal?.removeEventListener("abort", onAbort);
        const one: Waiting<Item, Result> = {
          item,
          resolve: (result) => {
            forget();
            resolve(result);
          },
          reject: (error) => {
            forget();
            reject(error);
          },
          gone: false,
        };
        const onAbort = (): void => leave(one, signal?.reason);
        signal?.addEventListener("abort", onAbort, { once: true });
        waiting.push(one);
        if (!busy) {
          busy = true;
          void answerAll();
        }
      }),
  };
}

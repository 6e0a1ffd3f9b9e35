/** A value and which of the streams it is from. */
export interface MergedValue<Value> {
  /** Position in the list of streams. */
  readonly stream: number;
  readonly value: Value;
}

/**
 * The values of several streams as they come. Ends with the last of them; the first failure of one ends it too. However it ends, the streams are
 * told to end, without waiting until they have.
 */
export async function* mergeStreams<Value>(
  streams: readonly AsyncGenerator<Value, void, undefined>[],
): AsyncGenerator<MergedValue<Value>, void, undefined> {
  const pending = new Map<number, Promise<MergedValue<IteratorResult<Value, void>>>>();
  const pull = (generator: AsyncGenerator<Value, void, undefined>, stream: number): void => {
    pending.set(
      stream,
      generator.next().then((value) => ({ stream, value })),
    );
  };
  try {
    streams.forEach(pull);
    while (pending.size > 0) {
      const { stream, value } = await Promise.race(pending.values());
      pending.delete(stream);
      const generator = streams[stream];
      if (value.done || generator === undefined) continue;
      yield { stream, value: value.value };
      pull(generator, stream);
    }
  } finally {
    for (const generator of streams) void generator.return().catch(() => {});
  }
}

import { type Problem, problemBody } from "./problem.js";
import type { RequestScope } from "./request-scope.js";

/** What {@link eventStream} needs. */
export interface EventStreamOptions {
  /** Ends with the stream, or when its reader leaves; the caller ends it where no stream begins. */
  readonly scope: RequestScope;
  /** Says what the client is told of an error. */
  readonly fail: (error: unknown) => Problem;
}

/**
 * A response of server-sent events, one a value as JSON, `[DONE]` at the end. The first value is awaited before, so that what fails at once has a
 * status of its own; what fails later is the last event, `{ "error": … }`.
 */
export async function eventStream(
  values: AsyncGenerator<unknown, void, undefined>,
  options: EventStreamOptions,
): Promise<Response> {
  const { scope } = options;
  // Also where nobody reads on, so that nobody would ask the values to end. They do when they notice; nothing waits for that.
  scope.signal.addEventListener("abort", () => void values.return().catch(() => {}), { once: true });
  const events = writeEvents(await scope.run(values.next()), values, options);
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const { done, value } = await events.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    cancel: () => scope[Symbol.dispose](),
  });
  return new Response(body, {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      // nginx would collect the events otherwise.
      "x-accel-buffering": "no",
    },
  });
}

async function* writeEvents(
  first: IteratorResult<unknown, void>,
  values: AsyncGenerator<unknown, void, undefined>,
  { scope, fail }: EventStreamOptions,
): AsyncGenerator<string, void, undefined> {
  try {
    for (let next = first; !next.done; next = await scope.run(values.next())) {
      yield event(JSON.stringify(next.value));
    }
    yield event("[DONE]");
  } catch (error) {
    yield event(JSON.stringify(problemBody(fail(error))));
  } finally {
    scope[Symbol.dispose]();
  }
}

function event(data: string): string {
  return `data: ${data}\n\n`;
}

import * as z from "zod";
import type { FetchHandler } from "./handler.js";

const errorSchema = z.strictObject({
  error: z.strictObject({
    message: z.string(),
    type: z.enum(["invalid_request_error", "server_error"]),
    param: z.string().nullable(),
    code: z.string(),
  }),
});

/** Asks for JSON by POST. A text is sent as it is. */
export function post(
  handler: FetchHandler,
  path: string,
  body: unknown,
  { headers = {}, signal }: { readonly headers?: Record<string, string>; readonly signal?: AbortSignal } = {},
): Promise<Response> {
  return handler(
    new Request(`http://127.0.0.1${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
      ...(signal === undefined ? {} : { signal }),
    }),
  );
}

/** The error of a response, which must have OpenAI's shape and tell nothing of the server's inside. */
export async function errorOf(response: Response) {
  const text = await response.text();
  if (/\n\s+at |node_modules|file:\/\//.test(text)) throw new Error(`a stack trace leaks: ${text}`);
  return { status: response.status, ...errorSchema.parse(JSON.parse(text)).error };
}

/** The data of a stream of server-sent events. */
export async function eventsOf(response: Response): Promise<readonly string[]> {
  const text = await response.text();
  return text
    .split("\n\n")
    .filter((event) => event !== "")
    .map((event) => event.replace(/^data: /, ""));
}

/** Waits until a condition holds, 20 seconds at most. */
export async function until(condition: () => boolean): Promise<void> {
  const start = performance.now();
  while (!condition()) {
    if (performance.now() - start > 20_000) throw new Error("expected a condition to hold within 20 seconds");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A question that every fake cadre answers. */
export const completion = { model: "auto", prompt: "one two three" };

/** A request for a page of the server. */
export function get(path: string, headers: Record<string, string> = {}): Request {
  return new Request(`http://127.0.0.1${path}`, { headers });
}

import { setTimeout as sleep } from "node:timers/promises";
import { CadreError, throwIfAborted } from "../../core/errors.js";
import { type HubId, hintFor, pathOfRepository } from "./hub-id.js";
import type { HubSettings } from "./hub-settings.js";

/** What requests of one repository share. */
export interface HubRequest {
  readonly settings: HubSettings;
  readonly id: HubId;
  readonly signal?: AbortSignal | undefined;
  /** Told before each wait for another try. */
  readonly onRetry?: ((retry: { readonly reason: string; readonly waitMs: number }) => void) | undefined;
}

/** An answer whose body is still to come. */
export interface OpenResponse {
  readonly response: Response;
  /** Starts the patience for the next bytes anew. */
  readonly keepAlive: () => void;
  /** Ends the waiting; call it in any case. */
  readonly close: () => void;
}

/**
 * A GET request that waits as long as the Hub asks on 429 and 503, tries again after broken connections and server errors, and makes errors
 * of refusals.
 * @throws CadreError `network`, `unauthorized`, `not-found`, `aborted`.
 */
export async function openHubResponse(
  request: HubRequest,
  url: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<OpenResponse> {
  for (let attempt = 1; ; attempt++) {
    const failure = await tryOnce(request, url, headers);
    if (!("reason" in failure)) return failure;
    await waitForNextTry(request, attempt, failure);
  }
}

/** Why a request failed for now. */
export interface TemporaryFailure {
  readonly reason: string;
  readonly cause?: unknown;
  /** What the server asks to wait. */
  readonly waitMs?: number | undefined;
}

/** Waits before try `attempt + 1`. @throws CadreError `network` when there shall be none, `aborted`. */
export async function waitForNextTry(request: HubRequest, attempt: number, failure: TemporaryFailure): Promise<void> {
  const { timing, endpoint } = request.settings;
  const waitMs = failure.waitMs ?? timing.firstWaitMs * 2 ** (attempt - 1);
  throwIfAborted(request.signal);
  if (attempt >= timing.attempts || waitMs > timing.longestWaitMs) {
    const asked = waitMs > timing.longestWaitMs ? `; it asks to wait ${Math.ceil(waitMs / 1000)} s` : "";
    throw new CadreError(
      "network",
      `${request.id.name}: ${endpoint}: ${failure.reason} (try ${attempt} of ${timing.attempts})${asked}. ` +
        "Run it again later: what is there already is kept",
      { cause: failure.cause, details: { repository: request.id.name, attempts: attempt } },
    );
  }
  request.onRetry?.({ reason: failure.reason, waitMs });
  await sleep(waitMs, undefined, request.signal === undefined ? {} : { signal: request.signal }).catch(() => {
    throwIfAborted(request.signal);
  });
}

/** A `fetch` for the client library: the whole body is there when it returns. */
export function hubFetch(request: HubRequest): typeof fetch {
  return async (input, init) => {
    const url = input instanceof Request ? input.url : input.toString();
    const headers = Object.fromEntries(new Headers(init?.headers));
    const opened = await openHubResponse(request, url, headers);
    try {
      const { status, headers: answered } = opened.response;
      return new Response(await opened.response.arrayBuffer(), { status, headers: answered });
    } catch (cause) {
      throwIfAborted(request.signal);
      throw new CadreError("network", `${request.id.name}: the answer of ${url} broke off; run it again`, { cause });
    } finally {
      opened.close();
    }
  };
}

async function tryOnce(
  request: HubRequest,
  url: string,
  headers: Readonly<Record<string, string>>,
): Promise<OpenResponse | TemporaryFailure> {
  const { settings, signal } = request;
  throwIfAborted(signal);
  const controller = new AbortController();
  const abort = (): void => controller.abort(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  const { patienceMs } = settings.timing;
  const timer = setTimeout(
    () => controller.abort(new Error(`no answer for ${Math.round(patienceMs / 1000)} s`)),
    patienceMs,
  );
  const close = (): void => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
    controller.abort();
  };
  // fetch takes the token off again when a redirect leads to another host.
  const authorization = settings.token === undefined ? {} : { authorization: `Bearer ${settings.token}` };
  let response: Response;
  try {
    response = await fetch(url, { headers: { ...headers, ...authorization }, signal: controller.signal });
  } catch (cause) {
    close();
    throwIfAborted(signal);
    return { reason: `no connection (${reasonOf(cause)})`, cause };
  }
  if (response.ok) return { response, keepAlive: () => timer.refresh(), close };
  close();
  if (response.status === 429 || response.status >= 500) {
    return { reason: `status ${response.status}`, waitMs: retryAfterMs(response.headers.get("retry-after")) };
  }
  throw refusal(request, url, response);
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  return cause.cause instanceof Error ? cause.cause.message : cause.message;
}

/** Seconds or a date, as HTTP has it. */
function retryAfterMs(value: string | null): number | undefined {
  if (value === null) return undefined;
  const milliseconds = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(milliseconds) ? Math.max(0, milliseconds) : undefined;
}

function refusal({ settings, id }: HubRequest, url: string, response: Response): CadreError {
  const { status } = response;
  const details = { repository: id.name, revision: id.revision, status, url };
  const code = response.headers.get("x-error-code");
  const page = `${settings.endpoint}/${pathOfRepository(id)}`;
  if (code === "GatedRepo" || status === 403) {
    return new CadreError(
      "unauthorized",
      `${id.name}: access is restricted (status ${status}). Accept the terms on ${page}, then set HF_TOKEN to a token of that account`,
      { details },
    );
  }
  if (code === "RevisionNotFound") {
    return new CadreError("not-found", `${id.name}: expected the revision ${id.revision}, found none on ${page}`, {
      details,
    });
  }
  // The Hub answers 401 for what does not exist, too, so that private names do not leak.
  if (status === 401) {
    const token = settings.token === undefined ? "set HF_TOKEN if it is private" : "HF_TOKEN does not open it";
    return new CadreError(
      "unauthorized",
      `${id.name}: no such repository on ${settings.endpoint}, or a private one (status 401): ${token}${hintFor(id)}`,
      { details },
    );
  }
  if (status === 404) {
    return new CadreError("not-found", `${id.name}@${id.revision}: not found on ${settings.endpoint}${hintFor(id)}`, {
      details,
    });
  }
  return new CadreError("network", `${id.name}: ${url}: expected an answer, got status ${status}`, { details });
}

import { createServer, type Server } from "node:http";
import { isIPv4, type Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import type { Cadre } from "../../cadre/cadre.js";
import { CadreError } from "../../core/errors.js";
import { expectSendable } from "../api-key.js";
import { createHandler, type HandlerOptions } from "../handler.js";
import { servingLimits } from "../limits.js";

const DEFAULT_HOST = "127.0.0.1";
/** Under which a server on loopback is reached. */
const LOOPBACK_NAMES: readonly string[] = ["localhost", "127.0.0.1", "[::1]"];

/** Options of {@link listen}. */
export interface ListenOptions extends Omit<HandlerOptions, "basePath" | "hosts"> {
  /** Default 8080; 0 is any free one. */
  readonly port?: number;
  /** Default `127.0.0.1`. Others than loopback only with an API key. */
  readonly host?: string;
}

/** A server that listens. */
export interface CadreServer {
  /** Without a slash at its end. */
  readonly url: string;
  /**
   * Takes no more requests, waits for those that are answered, and breaks off what is left then.
   * @param graceSeconds How long it waits; default twice the limit `seconds`, which a request has for its body and again for its answer. A second
   * call may shorten it.
   */
  close(graceSeconds?: number): Promise<void>;
}

/**
 * Whether a server may listen there, before anything is loaded for it.
 * @throws CadreError `invalid-argument` for another host than loopback without an API key, and for a key that no client could send.
 */
export function checkAccess({ host = DEFAULT_HOST, apiKey }: Pick<ListenOptions, "host" | "apiKey">): void {
  if (apiKey !== undefined) {
    expectSendable(apiKey);
  } else if (!isLoopback(host)) {
    throw new CadreError(
      "invalid-argument",
      `host ${host}: others can reach it, so it needs an API key: set CADRE_API_KEY (\`openssl rand -hex 24\` makes one), or leave the host out`,
    );
  }
}

/**
 * Serves a cadre over HTTP. It does not close the cadre.
 * @throws CadreError as `checkAccess` and `createHandler`; `invalid-argument` for a host that is not this machine's; `unavailable` where the port is
 * taken or not allowed.
 */
export async function listen(cadre: Cadre, options: ListenOptions = {}): Promise<CadreServer> {
  const { port = 8080, host = DEFAULT_HOST, ...handlerOptions } = options;
  checkAccess(options);
  const { seconds } = servingLimits(options.limits);
  const handler = createHandler(cadre, {
    ...handlerOptions,
    // A page can point its own name at this machine and would then read answers as its own; with a key it would need that too.
    ...(options.apiKey === undefined ? { hosts: [...LOOPBACK_NAMES, host] } : {}),
  });
  const server = createServer(getRequestListener(handler, { overrideGlobalObjects: false }));
  let closed: Promise<void> | undefined;
  // Browsers open connections before they need them; Node counts one as busy until its first request has been answered.
  const unused = new Set<Socket>();
  server.on("connection", (socket) => {
    unused.add(socket);
    socket.once("close", () => unused.delete(socket));
  });
  server.on("request", ({ socket }, response) => {
    unused.delete(socket);
    // Node keeps a connection for another request even while the server closes.
    response.once("close", () => closed !== undefined && setImmediate(() => server.closeIdleConnections()));
  });
  await start(server, { port, host });
  return {
    url: urlOf(server, host),
    close: async (graceSeconds = 2 * seconds) => {
      closed ??= new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of unused) socket.destroy();
      });
      const timer = setTimeout(() => server.closeAllConnections(), graceSeconds * 1000);
      await closed;
      clearTimeout(timer);
    },
  };
}

/** Whether only this machine reaches a host. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
}

function start(server: Server, where: { readonly port: number; readonly host: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => reject(listenError(cause, where)));
    server.listen(where, resolve);
  });
}

function listenError(
  cause: NodeJS.ErrnoException,
  { port, host }: { readonly port: number; readonly host: string },
): CadreError {
  switch (cause.code) {
    case "EADDRINUSE":
      return new CadreError(
        "unavailable",
        `port ${port} of ${host} is taken by another program; choose another port (0: any free one)`,
        { cause },
      );
    case "EACCES":
      return new CadreError("unavailable", `port ${port}: the system does not allow it; choose one from 1024 on`, {
        cause,
      });
    default:
      return new CadreError("invalid-argument", `host ${host}: cannot listen there (${cause.message})`, { cause });
  }
}

function urlOf(server: Server, host: string): string {
  const address = server.address();
  if (address === null || typeof address === "string") {
    throw new CadreError("internal", "serve: the server has no port");
  }
  return `http://${host.includes(":") ? `[${host}]` : host}:${address.port}`;
}

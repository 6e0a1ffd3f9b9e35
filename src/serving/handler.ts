import { Hono } from "hono";
import { cors } from "hono/cors";
import { methodNotAllowed } from "hono/method-not-allowed";
import { type RequestIdVariables, requestId } from "hono/request-id";
import type { Cadre } from "../cadre/cadre.js";
import { type EventHandler, emit } from "../core/events.js";
import { quote } from "../tasks/row-values.js";
import { createKeyCheck } from "./api-key.js";
import { createClassify } from "./classifications.js";
import { createCompletions } from "./completions.js";
import { createEmbeddings } from "./embeddings.js";
import type { Endpoint } from "./endpoint.js";
import { type ServingLimits, servingLimits } from "./limits.js";
import { createModels } from "./models.js";
import { type Problem, problemBody, problemOf, Refusal } from "./problem.js";

/** Answers a request. Never rejects. */
export type FetchHandler = (request: Request) => Promise<Response>;

/** A fault of the server's; the client was not told its message, which may name the server's files. */
export interface ServingFailure {
  readonly type: "failure";
  readonly error: unknown;
  /** As in the response's header `x-request-id`. */
  readonly requestId: string;
  readonly method: string;
  readonly path: string;
}

/** Options of {@link createHandler}. */
export interface HandlerOptions {
  /** Demanded of every request below /v1, as `authorization: Bearer KEY`; default none. 1 to 500 visible ASCII characters. */
  readonly apiKey?: string;
  /** The path under which the handler is mounted, where requests come with it, e.g. `/api/cadre` in Next; default none. */
  readonly basePath?: string;
  /** Limits that differ from the defaults. */
  readonly limits?: Partial<ServingLimits>;
  /** Origins whose pages may read answers (`*` any); default none: no CORS headers. */
  readonly cors?: readonly string[];
  /** Names of this server that requests may come to, as browsers write them in URLs; default any. Against pages that point their own name here. */
  readonly hosts?: readonly string[];
  /** Told of the server's own faults. */
  readonly onEvent?: EventHandler<ServingFailure>;
}

type Variables = { Variables: RequestIdVariables };

/**
 * OpenAI's HTTP interface to a cadre as a fetch handler, for hono, Next, express (through an adapter) and every other server that speaks
 * `Request` and `Response`: docs/serving.md. It does not close the cadre.
 * @throws CadreError `invalid-argument` for options out of range.
 * @example
 * const handler = createHandler(await openCadre("./library"));
 * app.all("/v1/*", (context) => handler(context.req.raw));
 */
export function createHandler(cadre: Cadre, options: HandlerOptions = {}): FetchHandler {
  const limits = servingLimits(options.limits);
  const models = createModels(cadre);
  const checkKey = options.apiKey === undefined ? undefined : createKeyCheck(options.apiKey);
  const hosts = options.hosts === undefined ? undefined : new Set(options.hosts);

  const app = new Hono<Variables>().basePath(options.basePath ?? "/");
  app.use(requestId());
  app.use(async (c, next) => {
    await next();
    // The middleware above names it only on responses that hono makes.
    c.res.headers.set("x-request-id", c.get("requestId"));
  });
  if (options.cors !== undefined) {
    const origin = options.cors.includes("*") ? "*" : [...options.cors];
    app.use(cors({ origin, allowMethods: ["GET", "POST"], exposeHeaders: ["x-request-id"] }));
  }
  app.use(async (c, next) => {
    if (hosts !== undefined) checkHost(c.req.raw, hosts);
    await next();
  });
  app.use("/v1/*", async (c, next) => {
    await checkKey?.(c.req.raw);
    await next();
  });
  app.use(methodNotAllowed({ app, onMethodNotAllowed }));

  const problemFor = (error: unknown, request: Request, id: string): Problem => {
    const { problem, fault } = problemOf(error, id);
    if (fault !== undefined) {
      const { pathname } = new URL(request.url);
      emit(options.onEvent, { type: "failure", error: fault, requestId: id, method: request.method, path: pathname });
    }
    return problem;
  };
  const post = (path: string, endpoint: Endpoint): void => {
    app.post(path, (c) => endpoint(c.req.raw, (error) => problemFor(error, c.req.raw, c.get("requestId"))));
  };

  app.get("/health", async (c) => {
    const { raw } = c.req;
    try {
      // Computes nothing, but an engine must live for it.
      await cadre.route("health", { experts: "base", signal: raw.signal });
      await models.list();
      return c.json({ status: "ok" });
    } catch (error) {
      return problemResponse({ ...problemFor(error, raw, c.get("requestId")), status: 503 });
    }
  });
  app.get("/v1/models", async (c) => c.json({ object: "list", data: await models.list() }));
  app.get("/v1/models/:model{.+}", async (c) => c.json(await models.entry(c.req.param("model"))));
  const context = { cadre, models, limits };
  post("/v1/completions", createCompletions(context));
  post("/v1/classify", createClassify(context));
  post("/v1/embeddings", createEmbeddings(context));
  app.post("/v1/chat/completions", () => {
    throw noChat();
  });
  app.notFound((c) => {
    const paths = app.routes.filter(({ method }) => method !== "ALL").map(({ method, path }) => `${method} ${path}`);
    const message = `there is no ${c.req.method} ${quote(c.req.path)}; there are ${paths.join(", ")}`;
    return problemResponse({ status: 404, message, code: "unknown_url" });
  });
  app.onError((error, c) => problemResponse(problemFor(error, c.req.raw, c.get("requestId"))));
  return async (request) => app.fetch(request);
}

function problemResponse(problem: Problem): Response {
  const headers = problem.status === 401 ? { "www-authenticate": "Bearer" } : {};
  return Response.json(problemBody(problem), { status: problem.status, headers });
}

function onMethodNotAllowed(_: unknown, methods: readonly string[]): Response {
  const allow = methods.join(", ");
  const response = problemResponse({
    status: 405,
    message: `expected the method ${allow}`,
    code: "method_not_allowed",
  });
  response.headers.set("allow", allow);
  return response;
}

function checkHost(request: Request, hosts: ReadonlySet<string>): void {
  const { hostname } = new URL(request.url);
  if (!hosts.has(hostname)) {
    throw new Refusal({
      status: 403,
      message: `this server answers to ${[...hosts].join(", ")}, not to ${quote(hostname)}`,
      code: "host_not_allowed",
    });
  }
}

function noChat(): Refusal {
  return new Refusal({
    status: 400,
    message:
      "Cadre has no chat: it applies no chat template, whatever the base; use POST /v1/completions with a prompt, or POST /v1/classify with an input",
    code: "unsupported",
    param: "messages",
  });
}

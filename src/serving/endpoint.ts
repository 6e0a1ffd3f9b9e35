import type { Cadre } from "../cadre/cadre.js";
import type { ServingLimits } from "./limits.js";
import type { ServedModels } from "./models.js";
import type { Problem } from "./problem.js";
import { openScope, type RequestScope } from "./request-scope.js";

/** What endpoints answer with. */
export interface EndpointContext {
  readonly cadre: Cadre;
  readonly models: ServedModels;
  readonly limits: ServingLimits;
}

/**
 * Answers a request.
 * @param fail Says what the client is told of an error that comes when the answer has begun; others are thrown.
 * @throws Refusal; CadreError of the cadre.
 */
export type Endpoint = (request: Request, fail: (error: unknown) => Problem) => Promise<Response>;

/** Starts the clock of an answer. */
export function openAnswerScope(request: Request, { seconds }: ServingLimits): RequestScope {
  return openScope(request.signal, {
    seconds,
    overtime: {
      status: 504,
      message: `the answer took longer than ${seconds} s (the limit seconds); ask for less at a time`,
      code: "time_limit",
    },
  });
}

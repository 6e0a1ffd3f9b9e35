/**
 * OpenAI's HTTP interface to a cadre, as a fetch handler: `cadre/serving`.
 * @module
 */
export { createHandler, type FetchHandler, type HandlerOptions, type ServingFailure } from "./handler.js";
export { DEFAULT_LIMITS, type ServingLimits } from "./limits.js";

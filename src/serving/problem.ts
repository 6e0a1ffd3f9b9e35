import { CadreError, type ErrorCode } from "../core/errors.js";

/** Why a request has no answer, as its client is told. */
export interface Problem {
  /** HTTP status. */
  readonly status: number;
  readonly message: string;
  /** For programs, e.g. `model_not_found`. */
  readonly code: string;
  /** The field of the body that is to blame. */
  readonly param?: string;
}

/** Ends a request with a problem. Never leaves the handler. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.message);
    this.problem = problem;
  }
}

/** Codes whose messages are for the one who asked; those of all others tell of the server's files and are kept from strangers. */
const STATUS_BY_CODE: Partial<Record<ErrorCode, number>> = {
  "invalid-argument": 400,
  unsupported: 400,
  "not-found": 404,
  aborted: 503,
  closed: 503,
  "engine-lost": 503,
  "out-of-memory": 503,
  unavailable: 503,
};

/** What a client is told of an error, or undefined where it must not be told. */
export function problemOf(error: unknown): Problem | undefined {
  if (error instanceof Refusal) return error.problem;
  if (!CadreError.isInstance(error)) return undefined;
  const status = STATUS_BY_CODE[error.code];
  return status === undefined ? undefined : { status, message: error.message, code: error.code.replaceAll("-", "_") };
}

/** A problem in the shape of OpenAI's errors. */
export function problemBody({ status, message, code, param }: Problem) {
  const type = status < 500 ? "invalid_request_error" : "server_error";
  return { error: { message, type, param: param ?? null, code } };
}

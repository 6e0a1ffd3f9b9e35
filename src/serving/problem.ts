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

/** Ends a request with a problem. Never leaves the handler. A cause is the server's own fault: its owner learns it, the client does not. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly problem: Problem;

  constructor(problem: Problem, options: { readonly cause?: unknown } = {}) {
    super(problem.message, options);
    this.problem = problem;
  }
}

/** What becomes known of an error. */
export interface ToldError {
  /** To the client. */
  readonly problem: Problem;
  /** To the server's owner: the error itself, where the client is not told its message. */
  readonly fault?: unknown;
}

/** Status of codes whose messages are for the one who asked. */
const STATUS_BY_CODE: Partial<Record<ErrorCode, number>> = {
  "invalid-argument": 400,
  unsupported: 400,
  aborted: 503,
  closed: 503,
  "engine-lost": 503,
};

/** What clients are told of codes whose own messages name the server's files. */
const PROBLEM_BY_CODE: Partial<Record<ErrorCode, Problem>> = {
  "not-found": {
    status: 404,
    message: "model: the library no longer has what it needs; GET /v1/models lists what there is",
    code: "model_not_found",
    param: "model",
  },
  mismatch: {
    status: 503,
    message: "model: what the library has under this name is not what it was, or does not fit its base; ask again",
    code: "library_changed",
  },
  "out-of-memory": {
    status: 503,
    message: "the server has not enough memory for this request; ask for less at a time",
    code: "out_of_memory",
  },
  unavailable: { status: 503, message: "the server cannot compute now; its log says why", code: "unavailable" },
};

/** @param requestId Under which the owner is told of the server's faults. */
export function problemOf(error: unknown, requestId: string): ToldError {
  if (error instanceof Refusal) {
    const { problem, cause } = error;
    return cause === undefined ? { problem } : { problem, fault: cause };
  }
  if (CadreError.isInstance(error)) {
    const { code, message } = error;
    const status = STATUS_BY_CODE[code];
    if (status !== undefined) return { problem: { status, message, code: code.replaceAll("-", "_") } };
    const problem = PROBLEM_BY_CODE[code];
    if (problem !== undefined) return { problem, fault: error };
  }
  const message = `the server failed; its log says why, under ${requestId}`;
  return { problem: { status: 500, message, code: "internal" }, fault: error };
}

/** A problem in the shape of OpenAI's errors. */
export function problemBody({ status, message, code, param }: Problem) {
  const type = status < 500 ? "invalid_request_error" : "server_error";
  return { error: { message, type, param: param ?? null, code } };
}

import { CadreError, type ErrorCode } from "../../core/errors.js";

/** A CadreError on its way between threads; structured cloning would strip the class, the code and the details. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
  /** Text of the error below, where there was one. */
  readonly cause?: string;
}

/** Packs any error; what is not a CadreError becomes one of code `internal`. */
export function toWireError(error: unknown): WireError {
  if (!CadreError.isInstance(error)) {
    return { code: "internal", message: `the engine failed: ${textOf(error)}`, details: {}, cause: stackOf(error) };
  }
  const { code, message, details, cause } = error;
  return cause === undefined ? { code, message, details } : { code, message, details, cause: stackOf(cause) };
}

/** Unpacks an error; its stack is the caller's. */
export function fromWireError({ code, message, details, cause }: WireError): CadreError {
  return new CadreError(code, message, cause === undefined ? { details } : { details, cause: new Error(cause) });
}

/** How ONNX Runtime, glibc, V8 and the drivers of GPUs say that memory is short, or that one tensor is more than a GPU takes. */
const OUT_OF_MEMORY =
  /bad_alloc|Failed to allocate memory|out of memory|OUT_OF_(?:DEVICE|HOST)_MEMORY|max buffer size limit|Array buffer allocation failed|Invalid typed array length|Cannot allocate memory/i;

/** How ONNX Runtime says that a GPU is gone: its driver was reset, or it was unplugged. */
const GPU_LOST =
  /device (?:is |was |has been )?lost|failed to download data from buffer|CUDA_ERROR_|unspecified launch failure/i;

/**
 * Wraps an error of ONNX Runtime.
 * @param error What it threw.
 * @param where What was done with which program, e.g. `run(t5-step)`.
 * @param otherwise The code where the message does not speak of memory: `invalid-argument` when a model or a feed is at
 * fault.
 */
export function wrapNativeError(
  error: unknown,
  { where, otherwise }: { readonly where: string; readonly otherwise: ErrorCode },
): CadreError {
  if (CadreError.isInstance(error)) return error;
  const text = textOf(error);
  if (OUT_OF_MEMORY.test(text)) {
    return new CadreError(
      "out-of-memory",
      `${where}: expected enough memory, ONNX Runtime could not allocate (${text}); use a smaller batch or length`,
      { cause: error },
    );
  }
  if (GPU_LOST.test(text)) {
    return new CadreError(
      "engine-lost",
      `${where}: expected a working GPU, ONNX Runtime lost it (${text}); open another device, its states are gone`,
      { cause: error },
    );
  }
  return new CadreError(otherwise, `${where}: ONNX Runtime failed: ${text}`, { cause: error });
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

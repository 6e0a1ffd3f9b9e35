import { CadreError, type ErrorCode } from "../errors.js";

const CODES: Readonly<Record<string, ErrorCode>> = {
  ENOENT: "not-found",
  ENOTDIR: "not-found",
  EISDIR: "invalid-argument",
  EEXIST: "already-exists",
  ENOTEMPTY: "already-exists",
  ENOMEM: "out-of-memory",
};

/** The code of an error of Node's system functions (`ENOENT`), or undefined for another error. */
export function systemCodeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/**
 * A CadreError for a failed file operation: `not-found`, `already-exists`, `invalid-argument` (a folder where a file is
 * needed), `out-of-memory`, and `io` for the rest. A CadreError comes back as it is.
 * @param doing what was tried and on which path, as in "cannot read /a/b"
 */
export function wrapSystemError(error: unknown, doing: string): CadreError {
  if (CadreError.isInstance(error)) return error;
  const systemCode = systemCodeOf(error);
  const code = (systemCode === undefined ? undefined : CODES[systemCode]) ?? "io";
  const reason = error instanceof Error ? error.message : String(error);
  return new CadreError(code, `${doing}: ${reason}`, { cause: error, details: { systemCode } });
}

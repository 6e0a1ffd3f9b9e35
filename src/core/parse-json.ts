import { CadreError } from "./errors.js";
import { findJsonProblem, isNestedTooDeep } from "./json-check.js";
import { nullNonFinite } from "./non-finite.js";

/** Options of {@link parseJson}. */
export interface ParseJsonOptions {
  /** Names the text in messages: a path. */
  readonly where: string;
  /** Refuse objects in which a key occurs twice; default false, where the last one counts. */
  readonly uniqueKeys?: boolean;
  /** Read the numbers `NaN` and `Infinity`, which Python writes, as null; default false. */
  readonly nonFiniteAsNull?: boolean;
}

/**
 * The value of a JSON text in UTF-8, with or without a byte order mark. The value is untrusted: narrow it, by a schema for instance. It is
 * never nested deeper than `MAX_JSON_DEPTH`, so that recursive functions may walk it.
 * @throws CadreError `invalid-file` with line and column in the message and in `details`.
 */
export function parseJson(
  bytes: Uint8Array,
  { where, uniqueKeys = false, nonFiniteAsNull = false }: ParseJsonOptions,
): unknown {
  const decoded = decode(bytes, where);
  const text = nonFiniteAsNull ? nullNonFinite(decoded) : decoded;
  let value: unknown;
  let failure: unknown;
  try {
    value = JSON.parse(text);
    if (!uniqueKeys && !isNestedTooDeep(text)) return value;
  } catch (error) {
    failure = error;
  }
  const problem = findJsonProblem(text);
  if (problem !== undefined) {
    const { message, line, column } = problem;
    const details = { path: where, line, column };
    throw new CadreError("invalid-file", `${where}: line ${line}, column ${column}: ${message}`, { details });
  }
  if (failure !== undefined) {
    throw new CadreError("invalid-file", `${where}: not JSON`, { cause: failure, details: { path: where } });
  }
  return value;
}

function decode(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new CadreError("invalid-file", `${where}: expected UTF-8 text`, { cause, details: { path: where } });
  }
}

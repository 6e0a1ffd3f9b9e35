import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { CadreError } from "../../core/errors.js";
import { wrapSystemError } from "../../core/node/system-error.js";
import { type FieldMap, parseFieldMap } from "../field-map.js";

/** Reads a field map, a YAML file; see {@link parseFieldMap}. @throws CadreError `not-found`; `io`; `invalid-config`. */
export async function readFieldMap(path: string): Promise<FieldMap> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw wrapSystemError(error, `cannot read ${path}`);
  });
  let document: unknown;
  try {
    document = parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CadreError("invalid-config", `${path}: expected YAML: ${reason}`, { cause });
  }
  return parseFieldMap(document, path);
}

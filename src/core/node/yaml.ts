import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { CadreError } from "../errors.js";
import { wrapSystemError } from "./system-error.js";

/** The content of a YAML file. @throws CadreError `not-found`; `io`; `invalid-config` with the line. */
export async function readYaml(path: string): Promise<unknown> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw wrapSystemError(error, `cannot read ${path}`);
  });
  try {
    return parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CadreError("invalid-config", `${path}: expected YAML: ${reason}`, { cause });
  }
}

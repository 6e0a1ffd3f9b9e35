import { readFile } from "node:fs/promises";
import { wrapSystemError } from "../../core/node/system-error.js";
import { type CopaRow, parseCopa } from "../copa.js";

/** Reads a COPA corpus, an XML file; see {@link parseCopa}. @throws CadreError `not-found`; `io`; `invalid-file`. */
export async function readCopa(path: string): Promise<CopaRow[]> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw wrapSystemError(error, `cannot read ${path}`);
  });
  return parseCopa(text, path);
}

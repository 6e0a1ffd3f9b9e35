import { readFile } from "node:fs/promises";
import { wrapSystemError } from "../../core/node/system-error.js";
import { type PromptTemplates, parsePromptTemplates } from "../promptsource/parse-prompt-templates.js";

/** Reads a `templates.yaml` of promptsource; see {@link parsePromptTemplates}. @throws CadreError `not-found`; `io`; `invalid-file`. */
export async function readPromptTemplates(path: string): Promise<PromptTemplates> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw wrapSystemError(error, `cannot read ${path}`);
  });
  return parsePromptTemplates(text, path);
}

import * as z from "zod";
import { CadreError } from "../core/errors.js";
import { parseConfig } from "../core/parse-config.js";
import type { Instance } from "./task.js";

/** What ends the completions of data sets that were written for GPT models. */
export const END_MARK = "<|endoftext|>";

const rowSchema = z.looseObject({ prompt: z.string(), completion: z.string() });

/**
 * An instance from a `{ prompt, completion }` row: the field `input` and one target, both without the white space
 * around them; the completion also without the `<|endoftext|>` at its end.
 * @throws CadreError `invalid-file` that begins with `where`, for a row of another shape and for an empty side.
 */
export function parsePromptCompletion(value: unknown, where: string): Instance {
  const row = parseConfig(rowSchema, value, { where, code: "invalid-file" });
  const input = row.prompt.trim();
  const completion = row.completion.trim();
  const target = (completion.endsWith(END_MARK) ? completion.slice(0, -END_MARK.length) : completion).trim();
  for (const [side, text] of Object.entries({ prompt: input, completion: target })) {
    if (text === "") throw new CadreError("invalid-file", `${where}: expected a ${side} that is not empty`);
  }
  return { fields: { input }, targets: [target] };
}

import * as z from "zod";
import { CadreError, type ErrorCode } from "./errors.js";

/** Checks a value against its schema. @throws CadreError with `code` naming every field that is wrong. */
export function parseConfig<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  { where, code }: { readonly where: string; readonly code: ErrorCode },
): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    throw new CadreError(code, `${where}:\n${z.prettifyError(parsed.error)}`);
  }
  return parsed.data;
}

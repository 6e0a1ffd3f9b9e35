import * as z from "zod";
import { CadreError } from "../core/errors.js";

const headerSchema = z.looseObject({ format: z.string(), formatVersion: z.number() });

/**
 * Checks the two fields with which every JSON file of Cadre's begins, before anything else is read of it.
 * @param version The newest one that this Cadre reads; older ones are fine.
 * @throws CadreError `invalid-file` for another format, `mismatch` for a newer version, naming it.
 */
export function checkFormat(
  value: unknown,
  { format, version, where }: { readonly format: string; readonly version: number; readonly where: string },
): void {
  const header = headerSchema.safeParse(value);
  if (!header.success || header.data.format !== format) {
    const found = header.success ? JSON.stringify(header.data.format).slice(0, 100) : "none";
    throw new CadreError(
      "invalid-file",
      `${where}: expected the format "${format}" with a formatVersion, found ${found}`,
      { details: { path: where } },
    );
  }
  const found = header.data.formatVersion;
  if (found > version) {
    throw new CadreError(
      "mismatch",
      `${where}: it needs a Cadre that reads ${format} version ${found}; this one reads up to ${version}. Update cadre`,
      { details: { path: where, expected: version, found } },
    );
  }
}

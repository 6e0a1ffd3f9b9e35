import { fileURLToPath } from "node:url";
import * as z from "zod";
import { keyTextsSchema } from "../../src/library/expert-keys.js";
import { libraryFileSchema } from "../../src/library/library-file.js";
import { manifestSchema } from "../../src/library/manifest.js";

/** The JSON Schemas of the library's files by name of the file in `schemas/`: what a reader may rely on in a file that Cadre wrote. */
export function librarySchemas(): ReadonlyMap<string, unknown> {
  const schema = (title: string, of: z.ZodType): unknown => ({ title, ...z.toJSONSchema(of, { io: "input" }) });
  return new Map([
    ["expert.schema.json", schema("expert.json of a Cadre library, version 1", manifestSchema)],
    ["library.schema.json", schema("library.json of a Cadre library, version 1", libraryFileSchema)],
    ["keys.schema.json", schema("keys.json of an expert in a Cadre library, version 1", keyTextsSchema)],
  ]);
}

/** Path of a committed schema, seen from a source or from its compiled file. */
export function schemaPath(name: string): string {
  const up = import.meta.url.includes("/dist/test/") ? "../../../schemas" : "../../schemas";
  return fileURLToPath(new URL(`${up}/${name}`, import.meta.url));
}

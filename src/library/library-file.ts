import * as z from "zod";
import { parseConfig } from "../core/parse-config.js";
import { parseJson } from "../core/parse-json.js";
import { checkFormat } from "./format.js";
import { baseReferenceSchema, keyEncoderSchema } from "./manifest.js";

/** Name of the format of `library.json`. */
export const LIBRARY_FORMAT = "cadre-library";
/** The newest version of it that is read, and the one that is written. */
export const LIBRARY_VERSION = 1;
/** The largest `library.json` that is read, in bytes. */
export const MAX_LIBRARY_BYTES = 2 ** 20;

/** How a router that searches the keys is set up. */
export const libraryRoutingSchema = z.looseObject({
  /** What is done to embeddings before they are compared; its numbers are measured on the keys. */
  adjustment: z.enum(["none", "centred", "whitened"]),
});

/** Schema of `library.json`. */
export const libraryFileSchema = z.looseObject({
  format: z.literal(LIBRARY_FORMAT),
  formatVersion: z.int().min(1).max(LIBRARY_VERSION),
  /** The base that all experts share. */
  base: baseReferenceSchema,
  /** What embedded the keys; absent until the first expert with keys is added. */
  keyEncoder: keyEncoderSchema.optional(),
  /** Absent until it has been chosen; embeddings are then left as they are. */
  routing: libraryRoutingSchema.optional(),
  /** ISO 8601 in UTC. */
  created: z.iso.datetime(),
});

/** The content of `library.json`; unknown fields are kept. */
export type LibraryFile = z.output<typeof libraryFileSchema>;

/** See {@link libraryRoutingSchema}. */
export type LibraryRouting = z.output<typeof libraryRoutingSchema>;

/** Reads the bytes of a `library.json`. @throws CadreError `invalid-file`; `mismatch` for a newer format. */
export function parseLibraryFile(bytes: Uint8Array, { where }: { readonly where: string }): LibraryFile {
  const content = parseJson(bytes, { where, uniqueKeys: true });
  checkFormat(content, { format: LIBRARY_FORMAT, version: LIBRARY_VERSION, where });
  return parseConfig(libraryFileSchema, content, { where: `${where}: expected a library`, code: "invalid-file" });
}

/** The text of a `library.json`. */
export function serializeLibraryFile(file: LibraryFile): string {
  const { format, formatVersion, ...fields } = file;
  return `${JSON.stringify({ format, formatVersion, ...fields }, null, 2)}\n`;
}

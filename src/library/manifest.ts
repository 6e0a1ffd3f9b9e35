import * as z from "zod";
import { CadreError } from "../core/errors.js";
import { sha256 } from "../core/hash.js";
import { parseConfig } from "../core/parse-config.js";
import { parseJson } from "../core/parse-json.js";
import { isExpertName } from "./expert-name.js";
import { checkFormat } from "./format.js";
import { KEYS_FILE, MANIFEST_FILE, PEFT_CONFIG_FILE, PEFT_TENSORS_FILE, TENSOR_FILES } from "./stored-files.js";

/** Name of the format of `expert.json`. */
export const MANIFEST_FORMAT = "cadre-expert";
/** The newest version of it that is read, and the one that is written. */
export const MANIFEST_VERSION = 1;
/** The largest manifest that is read, in bytes; they have a few kB. */
export const MAX_MANIFEST_BYTES = 4 * 2 ** 20;
/** Most files of an expert. */
const MAX_FILES = 100;

const hash = z.string().regex(/^[0-9a-f]{64}$/, "expected 64 lower-case hexadecimal digits");
const count = z.int().nonnegative();
/** Names that stay in their folder on every system. */
const FILE_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/;

/** Which base: how it was named, and `hashBase` of it, which decides. */
export const baseReferenceSchema = z.looseObject({ id: z.string().min(1).max(4096), hash });
/** What embeds keys and queries; all fields together identify it. */
export const keyEncoderSchema = z.looseObject({
  id: z.string().min(1).max(4096),
  /** Numbers of an embedding. */
  width: z.int().min(1).max(65_536),
  /** Of the encoder's weights, where the base's own do not tell. */
  hash: hash.optional(),
});

/** What a caller says of an expert; the rest of the manifest is worked out. Unknown fields are kept. */
const expertFieldsSchema = z.looseObject({
  /** Any Unicode in one line; unique in a library. */
  name: z.string().refine(isExpertName, "expected a normalised name of 1 to 200 characters in one printable line"),
  /** `multitask` ones answer when they are asked for by name and are never routing candidates. */
  role: z.enum(["expert", "multitask"]).default("expert"),
  /** Kind and configuration; `src/experts` knows what the configuration of a kind holds. */
  delta: z.looseObject({
    kind: z.enum(["bottleneck", "lora", "ia3", "full"]),
    config: z.record(z.string(), z.unknown()),
  }),
  task: z.string().min(1),
  /** The only template that it knows, by its name or as Jinja text; absent where it knows all of its task's. */
  template: z.string().optional(),
  /** The answers to choose from, where all instances share them. */
  choices: z.array(z.string()).min(1).optional(),
  /** What the task is judged by, e.g. `accuracy`. */
  metric: z.string().optional(),
  origin: z.looseObject({
    kind: z.enum(["trained", "merged", "imported"]),
    /** How: the training or merge recipe, or what is known of the source. */
    recipe: z.record(z.string(), z.unknown()).default({}),
  }),
  /** Of recipe, base and data: equal ones would give the same expert. */
  identity: z.string().optional(),
  seed: count.optional(),
  /** Figures by name, e.g. `validationAccuracy`. */
  metrics: z.record(z.string(), z.number()).default({}),
  /** ISO 8601 in UTC. */
  created: z.iso.datetime(),
});

const newExpertFieldsSchema = expertFieldsSchema.partial({ created: true });

const storedFileSchema = z.looseObject({ bytes: count, sha256: hash });

/** Schema of `expert.json`. */
export const manifestSchema = z
  .looseObject({
    format: z.literal(MANIFEST_FORMAT),
    formatVersion: z.int().min(1).max(MANIFEST_VERSION),
    ...expertFieldsSchema.shape,
    base: baseReferenceSchema,
    /** Absent where the expert has no keys. */
    keys: z
      .looseObject({ encoder: keyEncoderSchema, count: z.int().min(1), text: z.enum(["none", "stored"]) })
      .optional(),
    files: z
      .record(z.string(), storedFileSchema)
      .meta({ propertyNames: { type: "string", pattern: FILE_NAME.source } }),
    /** Of the manifest's own bytes with 64 zeros in this place; "none" is not checked: for a manifest that is changed by hand. */
    sha256: z.union([hash, z.literal("none")]),
  })
  .superRefine(({ files, keys }, context) => {
    const names = Object.keys(files);
    const fail = (message: string): void => context.addIssue({ code: "custom", path: ["files"], message });
    for (const name of names) {
      if (!FILE_NAME.test(name))
        fail(`expected plain file names without folders, found ${JSON.stringify(name).slice(0, 200)}`);
      if (name.toLowerCase() === MANIFEST_FILE) fail(`expected other names than the manifest's own, found "${name}"`);
    }
    if (names.length > MAX_FILES) fail(`expected at most ${MAX_FILES} files, found ${names.length}`);
    if (names.filter((name) => TENSOR_FILES.includes(name)).length !== 1) {
      fail(`expected exactly one of ${TENSOR_FILES.join(", ")}`);
    }
    if (names.includes(PEFT_TENSORS_FILE) !== names.includes(PEFT_CONFIG_FILE)) {
      fail(`expected both ${PEFT_CONFIG_FILE} and ${PEFT_TENSORS_FILE}, or neither`);
    }
    if (names.includes(KEYS_FILE) !== (keys !== undefined)) {
      fail(`expected ${KEYS_FILE} exactly where "keys" is given`);
    }
  });

/** What a caller says of a new expert; `created` is now unless it is given. */
export type NewExpertFields = Named<z.input<typeof newExpertFieldsSchema>>;
/** The content of `expert.json`. Fields that this Cadre does not know are there, too, and are written back. */
export type ExpertManifest = Named<z.output<typeof manifestSchema>>;
/** Name and hash of a base. */
export type BaseReference = z.output<typeof baseReferenceSchema>;
/** See {@link keyEncoderSchema}. */
export type KeyEncoder = z.output<typeof keyEncoderSchema>;
/** Size and hash of a file. */
export type StoredFile = z.output<typeof storedFileSchema>;

/** Only the fields that have a name, so that a slip of the pen in one is found. */
type Named<T> = { readonly [Key in keyof T as string extends Key ? never : Key]: T[Key] };

const NO_HASH = "0".repeat(64);

/**
 * Reads the bytes of an `expert.json`.
 * @throws CadreError `invalid-file` for what is no manifest, was damaged or changed, or names files outside its folder; `mismatch` for a newer
 * format.
 */
export async function parseManifest(bytes: Uint8Array, { where }: { readonly where: string }): Promise<ExpertManifest> {
  const content = parseJson(bytes, { where, uniqueKeys: true });
  checkFormat(content, { format: MANIFEST_FORMAT, version: MANIFEST_VERSION, where });
  const manifest = parseConfig(manifestSchema, content, {
    where: `${where}: expected an expert's manifest`,
    code: "invalid-file",
  });
  const expected = manifest.sha256;
  if (expected !== "none") {
    const found = await sha256(encode(new TextDecoder().decode(bytes).replace(expected, NO_HASH)));
    if (found !== expected) {
      throw new CadreError(
        "invalid-file",
        `${where}: its content does not fit its sha256: it was damaged, or changed by hand (then write "none" for its sha256)`,
        { details: { path: where, expected, found } },
      );
    }
  }
  return manifest;
}

/** The text of an `expert.json`, with the hash of itself. */
export async function serializeManifest(manifest: ExpertManifest): Promise<string> {
  const { format, formatVersion, sha256: _, ...fields } = manifest;
  const open = `${JSON.stringify({ format, formatVersion, ...fields, sha256: NO_HASH }, null, 2)}\n`;
  const own = open.lastIndexOf(NO_HASH);
  // A reader puts the zeros in the first place where the hash stands: there is no other, or it would be its own preimage.
  return open.slice(0, own) + (await sha256(encode(open))) + open.slice(own + NO_HASH.length);
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

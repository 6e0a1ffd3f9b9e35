import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CadreError } from "../../core/errors.js";
import { wrapSystemError } from "../../core/node/system-error.js";
import { parseConfig } from "../../core/parse-config.js";
import { parseJson } from "../../core/parse-json.js";
import { allFinite } from "../../tensors/all-finite.js";
import { isFloatDType } from "../../tensors/dtype.js";
import { openSafetensors, writeSafetensors } from "../../tensors/node/safetensors-file.js";
import type { Tensor } from "../../tensors/tensor.js";
import {
  describeKeys,
  type ExpertKeys,
  KEY_TEXTS_FORMAT,
  KEY_TEXTS_VERSION,
  KEYS_TENSOR,
  keysFromTensors,
  MAX_KEY_TEXTS_BYTES,
  parseKeyTexts,
} from "../expert-keys.js";
import { expertName } from "../expert-name.js";
import {
  type BaseReference,
  type ExpertManifest,
  MANIFEST_FORMAT,
  MANIFEST_VERSION,
  MAX_MANIFEST_BYTES,
  manifestSchema,
  type NewExpertFields,
  parseManifest,
  type StoredFile,
  serializeManifest,
} from "../manifest.js";
import {
  DELTA_FILE,
  KEY_TEXTS_FILE,
  KEYS_FILE,
  MANIFEST_FILE,
  PEFT_CONFIG_FILE,
  PEFT_PREFIX,
  PEFT_TENSORS_FILE,
  TENSOR_FILES,
} from "../stored-files.js";
import { checkStoredFile, describeFile, readPlainFile, readStoredFile } from "./plain-file.js";

/** Largest `adapter_config.json` that is read, in bytes. */
export const MAX_PEFT_CONFIG_BYTES = 2 ** 20;

/** The files of an expert beside its manifest. */
export interface ExpertFiles {
  /**
   * The delta's tensors by Cadre's names; one with the name of a parameter of the base stands in its place.
   */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Content of PEFT's `adapter_config.json`, for kinds that PEFT knows: the tensors are then stored in PEFT's layout. */
  readonly adapterConfig?: Readonly<Record<string, unknown>> | undefined;
  readonly keys?: ExpertKeys | undefined;
}

/** An expert as it is stored. */
export interface Expert extends ExpertFiles {
  readonly manifest: ExpertManifest;
}

/** A new expert. */
export interface NewExpert extends ExpertFiles {
  readonly manifest: NewExpertFields;
}

/**
 * Writes an expert's files and its manifest into a folder that is there, not yet flushed: wrap it in `writeFolderAtomic`.
 * @throws CadreError `invalid-argument` for fields, tensors or keys that are wrong; `non-finite`; `io`.
 */
export async function writeExpertFiles(
  folder: string,
  { manifest, tensors, adapterConfig, keys, base }: NewExpert & { readonly base: BaseReference },
): Promise<ExpertManifest> {
  checkTensors(tensors);
  const names: string[] = [];
  const add = (name: string): string => {
    names.push(name);
    return join(folder, name);
  };
  if (adapterConfig === undefined) {
    await writeSafetensors(add(DELTA_FILE), tensors);
  } else {
    const prefixed = [...tensors].map(([name, tensor]) => [`${PEFT_PREFIX}${name}`, tensor] as const);
    await writeSafetensors(add(PEFT_TENSORS_FILE), prefixed, { format: "pt" });
    await writeText(add(PEFT_CONFIG_FILE), `${JSON.stringify(adapterConfig, null, 2)}\n`);
  }
  const described = keys === undefined ? undefined : describeKeys(keys);
  if (keys !== undefined) {
    await writeSafetensors(add(KEYS_FILE), [[KEYS_TENSOR, keys.vectors]]);
    if (keys.texts !== undefined) {
      const content = { format: KEY_TEXTS_FORMAT, formatVersion: KEY_TEXTS_VERSION, texts: keys.texts };
      await writeText(add(KEY_TEXTS_FILE), `${JSON.stringify(content, null, 2)}\n`);
    }
  }
  return writeManifest(folder, { manifest, base, keys: described, names });
}

/** Describes files that lie in a folder by a manifest beside them. @throws CadreError `invalid-argument`, `io`. */
export async function writeManifest(
  folder: string,
  options: Pick<NewExpert, "manifest"> & {
    readonly base: BaseReference;
    readonly names: readonly string[];
    readonly keys?: ExpertManifest["keys"];
  },
): Promise<ExpertManifest> {
  const files: Record<string, StoredFile> = {};
  for (const name of options.names) files[name] = await describeFile(join(folder, name));
  // What a manifest read elsewhere says of its own files is replaced, its unknown fields stay.
  const manifest = parseConfig(
    manifestSchema,
    {
      created: new Date().toISOString(),
      ...options.manifest,
      format: MANIFEST_FORMAT,
      formatVersion: MANIFEST_VERSION,
      name: expertName(options.manifest.name),
      base: options.base,
      keys: options.keys,
      files,
      sha256: "none",
    },
    { where: "expert: expected the fields of a manifest", code: "invalid-argument" },
  );
  const text = await serializeManifest(manifest);
  if (Buffer.byteLength(text) > MAX_MANIFEST_BYTES) {
    throw new CadreError("invalid-argument", `expert: expected a manifest of at most ${MAX_MANIFEST_BYTES} bytes`);
  }
  await writeText(join(folder, MANIFEST_FILE), text);
  return manifest;
}

/** Reads `expert.json` in a folder. @throws CadreError as `readPlainFile` and `parseManifest`. */
export async function readManifest(folder: string): Promise<ExpertManifest> {
  const where = join(folder, MANIFEST_FILE);
  return parseManifest(await readPlainFile(where, { maxBytes: MAX_MANIFEST_BYTES }), { where });
}

/**
 * Reads an expert from its folder, every file proven by its hash.
 * @throws CadreError `not-found`; `invalid-file` for what is damaged, incomplete or a link; `mismatch` for a newer format; `out-of-memory`; `io`.
 */
export async function readExpertFolder(folder: string): Promise<Expert> {
  const manifest = await readManifest(folder);
  const tensors = await readExpertTensors(folder, manifest);
  const adapterConfig = await readAdapterConfig(folder, manifest);
  const keys = await readExpertKeys(folder, manifest);
  return {
    manifest,
    tensors,
    ...(adapterConfig === undefined ? {} : { adapterConfig }),
    ...(keys === undefined ? {} : { keys }),
  };
}

/** The delta's tensors by Cadre's names. @throws CadreError as `readExpertFolder`. */
export async function readExpertTensors(
  folder: string,
  { files }: ExpertManifest,
): Promise<ReadonlyMap<string, Tensor>> {
  const name = TENSOR_FILES.find((candidate) => Object.hasOwn(files, candidate)) ?? DELTA_FILE;
  const path = join(folder, name);
  const tensors = await readTensors(path, files[name]);
  if (name !== PEFT_TENSORS_FILE) return tensors;
  return new Map([...tensors].map(([stored, tensor]) => [withoutPrefix(stored, path), tensor]));
}

/** The keys; undefined where the expert has none. @throws CadreError as `readExpertFolder`. */
export async function readExpertKeys(folder: string, manifest: ExpertManifest): Promise<ExpertKeys | undefined> {
  if (manifest.keys === undefined) return undefined;
  const { encoder, count } = manifest.keys;
  const where = join(folder, KEYS_FILE);
  const vectors = keysFromTensors(await readTensors(where, manifest.files[KEYS_FILE]), { manifest, where });
  const stored = manifest.files[KEY_TEXTS_FILE];
  if (stored === undefined) return { encoder, vectors };
  const path = join(folder, KEY_TEXTS_FILE);
  const bytes = await readStoredFile(path, { stored, maxBytes: MAX_KEY_TEXTS_BYTES });
  return { encoder, vectors, texts: parseKeyTexts(bytes, { count, where: path }) };
}

async function readAdapterConfig(
  folder: string,
  { files }: ExpertManifest,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const stored = files[PEFT_CONFIG_FILE];
  if (stored === undefined) return undefined;
  const where = join(folder, PEFT_CONFIG_FILE);
  const content = parseJson(await readStoredFile(where, { stored, maxBytes: MAX_PEFT_CONFIG_BYTES }), { where });
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    throw new CadreError("invalid-file", `${where}: expected a JSON object`, { details: { path: where } });
  }
  return { ...content };
}

async function readTensors(path: string, stored: StoredFile | undefined): Promise<Map<string, Tensor>> {
  if (stored === undefined) throw new CadreError("internal", `${path}: no such file in the manifest`);
  await checkStoredFile(path, stored);
  await using file = await openSafetensors(path);
  const tensors = new Map<string, Tensor>();
  for (const name of file.tensors.keys()) tensors.set(name, await file.read(name));
  return tensors;
}

function withoutPrefix(name: string, path: string): string {
  if (!name.startsWith(PEFT_PREFIX)) {
    const found = JSON.stringify(name).slice(0, 200);
    throw new CadreError("invalid-file", `${path}: expected names that begin with "${PEFT_PREFIX}", found ${found}`);
  }
  return name.slice(PEFT_PREFIX.length);
}

function checkTensors(tensors: ReadonlyMap<string, Tensor>): void {
  if (tensors.size === 0) throw new CadreError("invalid-argument", "expert: expected at least one tensor, got none");
  for (const [name, tensor] of tensors) {
    if (isFloatDType(tensor.dtype) && !allFinite(tensor)) {
      throw new CadreError("non-finite", `expert: expected finite numbers in "${name}", found NaN or infinity`);
    }
  }
}

async function writeText(path: string, text: string): Promise<void> {
  await writeFile(path, text).catch((error: unknown) => {
    throw wrapSystemError(error, `cannot write ${path}`);
  });
}

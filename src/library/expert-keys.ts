import * as z from "zod";
import { CadreError } from "../core/errors.js";
import { parseConfig } from "../core/parse-config.js";
import { parseJson } from "../core/parse-json.js";
import { allFinite } from "../tensors/all-finite.js";
import { hasDType, type Tensor } from "../tensors/tensor.js";
import { checkFormat } from "./format.js";
import type { ExpertManifest, KeyEncoder } from "./manifest.js";

/** Name of the format of `keys.json`. */
export const KEY_TEXTS_FORMAT = "cadre-key-texts";
/** The newest version of it that is read, and the one that is written. */
export const KEY_TEXTS_VERSION = 1;
/** The largest `keys.json` that is read, in bytes. */
export const MAX_KEY_TEXTS_BYTES = 64 * 2 ** 20;
/** Name of the one tensor of `keys.safetensors`. */
export const KEYS_TENSOR = "keys";

/** Schema of `keys.json`. */
export const keyTextsSchema = z.looseObject({
  format: z.literal(KEY_TEXTS_FORMAT),
  formatVersion: z.int().min(1).max(KEY_TEXTS_VERSION),
  /** The embedded inputs, in the order of the keys. */
  texts: z.array(z.string()),
});

/** Training inputs of an expert, embedded: what retrieval searches. */
export interface ExpertKeys {
  readonly encoder: KeyEncoder;
  /** `[S, d]`, S ≥ 1, d the encoder's width; as the encoder gave them, not yet centred or scaled. */
  readonly vectors: Tensor<"float32">;
  /** The S inputs themselves. Absent by default: they may be private. */
  readonly texts?: readonly string[] | undefined;
}

/** What the manifest says of keys. @throws CadreError `invalid-argument` where shapes and counts do not fit; `non-finite`. */
export function describeKeys({ encoder, vectors, texts }: ExpertKeys): NonNullable<ExpertManifest["keys"]> {
  const [keyCount = 0, width] = vectors.shape;
  if (vectors.shape.length !== 2 || keyCount < 1 || width !== encoder.width) {
    throw new CadreError(
      "invalid-argument",
      `keys: expected a shape [keys, ${encoder.width}] as the encoder "${encoder.id}" says, got [${vectors.shape.join(", ")}]`,
    );
  }
  if (texts !== undefined && texts.length !== keyCount) {
    throw new CadreError("invalid-argument", `keys: expected a text for each of ${keyCount} keys, got ${texts.length}`);
  }
  if (!allFinite(vectors)) {
    throw new CadreError("non-finite", "keys: expected finite numbers, found NaN or infinity");
  }
  return { encoder, count: keyCount, text: texts === undefined ? "none" : "stored" };
}

/** The keys of a file whose manifest is known. @throws CadreError `invalid-file` where they do not fit the manifest. */
export function keysFromTensors(
  tensors: ReadonlyMap<string, Tensor>,
  { manifest, where }: { readonly manifest: ExpertManifest; readonly where: string },
): Tensor<"float32"> {
  const vectors = tensors.get(KEYS_TENSOR);
  const expected = [manifest.keys?.count, manifest.keys?.encoder.width];
  if (vectors === undefined || !hasDType(vectors, "float32") || vectors.shape.join() !== expected.join()) {
    const found = vectors === undefined ? "none" : `${vectors.dtype} [${vectors.shape.join(", ")}]`;
    throw new CadreError(
      "invalid-file",
      `${where}: expected a float32 tensor "${KEYS_TENSOR}" [${expected.join(", ")}] as the manifest says, found ${found}`,
      { details: { path: where } },
    );
  }
  if (!allFinite(vectors)) {
    throw new CadreError("invalid-file", `${where}: expected finite keys, found NaN or infinity`);
  }
  return vectors;
}

/** Reads the bytes of a `keys.json`. @throws CadreError `invalid-file`; `mismatch` for a newer format. */
export function parseKeyTexts(
  bytes: Uint8Array,
  { count, where }: { readonly count: number; readonly where: string },
): readonly string[] {
  const content = parseJson(bytes, { where, uniqueKeys: true });
  checkFormat(content, { format: KEY_TEXTS_FORMAT, version: KEY_TEXTS_VERSION, where });
  const { texts } = parseConfig(keyTextsSchema, content, {
    where: `${where}: expected the texts of keys`,
    code: "invalid-file",
  });
  if (texts.length !== count) {
    throw new CadreError(
      "invalid-file",
      `${where}: expected ${count} texts as the manifest says, found ${texts.length}`,
    );
  }
  return texts;
}

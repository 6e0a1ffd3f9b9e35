import { copyFile, lstat, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { CadreError } from "../../core/errors.js";
import { writeFolderAtomic } from "../../core/node/atomic-write.js";
import { systemCodeOf, wrapSystemError } from "../../core/node/system-error.js";
import type { DeltaConfig } from "../../experts/delta-config.js";
import { peftConfig } from "../../experts/peft.js";
import { storedDelta } from "../../experts/stored-delta.js";
import type { BaseReference, NewExpertFields } from "../../library/manifest.js";
import { readManifest, writeExpertFiles, writeManifest } from "../../library/node/expert-folder.js";
import { MODEL_FILE } from "../../library/stored-files.js";
import { saveModelFolder } from "../../models/node/model-folder.js";
import type { T5Config } from "../../models/t5/config.js";
import type { Tensor } from "../../tensors/tensor.js";

/** Files of a tokenizer; a base has one of the first two at least. */
const TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"];

/** Options of `saveExpert`. */
export interface SaveExpertOptions {
  /** Undefined for a whole model. */
  readonly delta: DeltaConfig | undefined;
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly base: BaseReference & { readonly folder: string; readonly config: T5Config };
  /** The rest of the manifest. Its identity is that of recipe, base and data: an expert of another training is not replaced. */
  readonly manifest: Omit<NewExpertFields, "delta" | "identity"> & { readonly identity: string };
}

/**
 * Writes an expert's folder, whole or not at all, which `cadre experts add` takes: `expert.json` beside LoRA and (IA)³ in PEFT's layout, a
 * bottleneck as `delta.safetensors`, or a full model as a model folder with its tokenizer. The same training's earlier expert is replaced.
 * @throws CadreError `already-exists` for a folder with something else in it; `io`.
 */
export async function saveExpert(
  folder: string,
  { delta, tensors, base, manifest: fields }: SaveExpertOptions,
): Promise<void> {
  await mkdir(dirname(folder), { recursive: true }).catch((error: unknown) => {
    throw wrapSystemError(error, `cannot make ${dirname(folder)}`);
  });
  const replace = await holdsExpert(folder, fields.identity);
  const manifest = { ...fields, delta: storedDelta(delta) };
  const reference = { id: base.id, hash: base.hash };
  const fill = async (temporary: string): Promise<void> => {
    if (delta === undefined) {
      await saveModelFolder(temporary, { config: base.config, tensors });
      const names = ["config.json", MODEL_FILE, ...(await copyTokenizer(base.folder, temporary))];
      await writeManifest(temporary, { manifest, base: reference, names });
    } else {
      await writeExpertFiles(temporary, {
        manifest,
        base: reference,
        tensors,
        adapterConfig: peftConfig(delta, base.id),
      });
    }
  };
  await writeFolderAtomic(folder, fill, { replace });
}

/**
 * Whether a folder holds this training's expert; false where there is nothing.
 * @throws CadreError `already-exists` for a folder with something else in it; `io`.
 */
export async function holdsExpert(folder: string, identity: string): Promise<boolean> {
  const manifest = await readManifest(folder).catch((error: unknown) => {
    if (CadreError.isInstance(error) && error.code !== "io") return undefined;
    throw error;
  });
  if (manifest?.identity === identity) {
    return true;
  }
  if (await exists(folder)) {
    throw new CadreError(
      "already-exists",
      `${folder}: expected no folder, or the expert of this very training, found ${manifest === undefined ? "something else" : "the expert of another training"}; ` +
        "give another output",
      { details: { path: folder } },
    );
  }
  return false;
}

/** Returns the names of the files that there were. */
async function copyTokenizer(from: string, to: string): Promise<string[]> {
  const copied: string[] = [];
  for (const name of TOKENIZER_FILES) {
    try {
      await copyFile(join(from, name), join(to, name));
      copied.push(name);
    } catch (error) {
      if (systemCodeOf(error) !== "ENOENT") throw wrapSystemError(error, `cannot copy ${name} to ${to}`);
    }
  }
  return copied;
}

function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

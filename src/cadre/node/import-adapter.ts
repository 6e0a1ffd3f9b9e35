import { basename, resolve } from "node:path";
import { CadreError } from "../../core/errors.js";
import { readPeftFolder } from "../../experts/node/read-peft-folder.js";
import { peftConfig } from "../../experts/peft.js";
import { storedDelta } from "../../experts/stored-delta.js";
import { createLibrary, type ExpertEntry, openLibrary } from "../../library/node/library.js";
import { openReferencedBase, type ReferencedBase } from "./referenced-base.js";

/** Options of {@link importAdapter}. */
export interface ImportAdapterOptions {
  /** What the expert is called; default: the folder's name. */
  readonly name?: string;
  /** The task that it does; default: its name. */
  readonly task?: string;
  /** The base that the adapter was trained on: a model folder, `cadre-mini` or an id on the Hugging Face Hub. Default: the library's. */
  readonly base?: string;
  /** Fetch nothing: the base is a folder, the one that ships, or in the cache. */
  readonly offline?: boolean;
}

/** What {@link importAdapter} took in. */
export interface ImportedAdapter extends ExpertEntry {
  /** Projections that the adapter leaves alone and that got values which change nothing. */
  readonly neutral: readonly string[];
  /** The base that PEFT wrote down, unchecked: it does not record which weights they were. */
  readonly namedBase: string | undefined;
}

/**
 * Takes an adapter that Python's PEFT saved (LoRA or (IA)³) into a library, which is made if it is missing and a base is named. Every tensor is checked
 * against the base, and the expert is added whole or not at all. It has neither keys nor labels: it is asked by name.
 * @param path Folder of the library.
 * @param folder With `adapter_config.json` and `adapter_model.safetensors`.
 * @throws CadreError `not-found`, `mismatch`, `unsupported` (another kind of adapter, `modules_to_save`), `invalid-argument` (a name that is taken).
 * @example
 * const { id } = await importAdapter("./library", "./billing-lora", { base: "google/flan-t5-small" });
 */
export async function importAdapter(
  path: string,
  folder: string,
  { name = basename(resolve(folder)), task = name, base: wanted, offline }: ImportAdapterOptions = {},
): Promise<ImportedAdapter> {
  const existing = await openLibrary(path).catch((error: unknown) => {
    if (wanted !== undefined && CadreError.isInstance(error) && error.code === "not-found") return undefined;
    throw error;
  });
  const where = offline === undefined ? {} : { offline };
  await using base =
    wanted === undefined
      ? await openNamedBase(existing?.base.id ?? "", where)
      : await openReferencedBase(wanted, where);
  const library =
    existing === undefined
      ? await createLibrary(path, { base: base.reference })
      : await openLibrary(path, { base: base.reference });
  const { delta, tensors, config, neutral } = await readPeftFolder(folder, base.model.hookPoints);
  const entry = await library.add({
    manifest: {
      ...{ name, task, delta: storedDelta(delta) },
      origin: { kind: "imported", recipe: { from: "peft", config, neutral } },
    },
    tensors,
    adapterConfig: peftConfig(delta, library.base.id),
  });
  const { base_model_name_or_path: named } = config;
  return { ...entry, neutral, namedBase: typeof named === "string" ? named : undefined };
}

async function openNamedBase(id: string, where: { readonly offline?: boolean }): Promise<ReferencedBase> {
  try {
    return await openReferencedBase(id, where);
  } catch (error) {
    if (!CadreError.isInstance(error)) throw error;
    const message = `${error.message}\n(the library names this base; the option base, on the command line --base, says where it lies here)`;
    throw new CadreError(error.code, message, { cause: error });
  }
}

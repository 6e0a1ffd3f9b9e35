import { resolve } from "node:path";
import { hashBase } from "../../library/base-hash.js";
import type { BaseReference } from "../../library/manifest.js";
import { type ModelFolder, openModelFolder } from "../../models/node/model-folder.js";
import { type ResolveBaseOptions, resolveBase } from "../../models/node/resolve-base.js";

/** A base's model with the reference that libraries know it by. */
export interface ReferencedBase extends AsyncDisposable {
  readonly model: ModelFolder["model"];
  readonly reference: BaseReference;
}

/** Opens a base and hashes its weights. @param wanted As `resolveBase`. @throws CadreError as `resolveBase` and `openModelFolder`. */
export async function openReferencedBase(wanted: string, options: ResolveBaseOptions = {}): Promise<ReferencedBase> {
  const folder = await resolveBase(wanted, options);
  const opened = await openModelFolder(folder);
  const reference = { id: resolve(wanted) === folder ? folder : wanted, hash: await hashBase(opened) };
  return { model: opened.model, reference, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
}

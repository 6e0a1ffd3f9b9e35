import { mkdir } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { CadreError } from "../../core/errors.js";
import { writeFolderAtomic } from "../../core/node/atomic-write.js";
import { wrapSystemError } from "../../core/node/system-error.js";
import type { ExpertManifest } from "../manifest.js";
import { type Expert, writeExpertFiles } from "./expert-folder.js";

/**
 * Writes an expert into a folder of its own, whole or not at all: what `cadre experts add` takes elsewhere, and, for kinds that PEFT knows, what
 * PEFT opens.
 * @param options.withoutKeys Leave keys and their texts out: embeddings tell of the private texts that they were made from.
 * @returns the manifest that was written.
 * @throws CadreError `already-exists` where there is something at the path; `io`.
 */
export async function exportExpert(
  folder: string,
  { expert, withoutKeys = false }: { readonly expert: Expert; readonly withoutKeys?: boolean },
): Promise<ExpertManifest> {
  const target = resolve(folder);
  await mkdir(dirname(target), { recursive: true }).catch((error: unknown) => {
    throw wrapSystemError(error, `cannot make ${dirname(target)}`);
  });
  const written: ExpertManifest[] = [];
  await writeFolderAtomic(target, async (temporary) => {
    const { keys, ...rest } = expert;
    written.push(
      await writeExpertFiles(temporary, { ...rest, base: expert.manifest.base, keys: withoutKeys ? undefined : keys }),
    );
  });
  const [manifest] = written;
  if (manifest === undefined) throw new CadreError("internal", `${target} was not written`);
  return manifest;
}

import { CadreError } from "../../core/errors.js";
import { checkStoredExpert } from "../../experts/stored-delta.js";
import type { ExpertManifest } from "../../library/manifest.js";
import type { ExpertEntry, Library } from "../../library/node/library.js";
import type { Model } from "../../models/model.js";
import { floatBytes } from "../../tensors/tensor.js";
import type { LoadedExpert } from "../expert-stack.js";

/** Bytes of the tensors that are kept, counted as float32; what was used last stays in any case. */
const KEPT_BYTES = 512 * 2 ** 20;

/** Reads the tensors of experts when they are needed, and keeps those that were used last. */
export interface ExpertReader {
  /**
   * @throws CadreError `mismatch` for an expert that was replaced after its entry was seen; `not-found` for one that was removed; otherwise as
   * `Library.read` and `checkStoredExpert`.
   */
  read(entry: ExpertEntry): Promise<LoadedExpert>;
}

/** @param options.most bytes that are kept, default 512 MiB */
export function createExpertReader({
  library,
  model,
  most = KEPT_BYTES,
}: {
  readonly library: Pick<Library, "read" | "path">;
  readonly model: Pick<Model, "parameters" | "hookPoints">;
  readonly most?: number;
}): ExpertReader {
  /** The one that was used least recently first. */
  const kept = new Map<string, { readonly expert: Promise<LoadedExpert>; bytes: number }>();

  const readNow = async ({ id, manifest }: ExpertEntry, key: string): Promise<LoadedExpert> => {
    const stored = await library.read(id);
    if (versionOf(stored.manifest) !== versionOf(manifest)) {
      throw new CadreError(
        "mismatch",
        `${library.path}: the expert ${JSON.stringify(manifest.name)} was replaced by another one of this name; refresh, and ask again`,
        { details: { path: library.path, expert: id } },
      );
    }
    const delta = checkStoredExpert(stored, { where: manifest.name, model });
    return { id, key, delta, tensors: stored.tensors };
  };
  const forgetOldest = (): void => {
    let bytes = [...kept.values()].reduce((sum, one) => sum + one.bytes, 0);
    for (const [key, one] of kept) {
      if (bytes <= most || kept.size === 1) return;
      kept.delete(key);
      bytes -= one.bytes;
    }
  };

  return {
    async read(entry) {
      const key = `${entry.id} ${versionOf(entry.manifest)}`;
      const found = kept.get(key) ?? { expert: readNow(entry, key), bytes: 0 };
      kept.delete(key);
      kept.set(key, found);
      try {
        const expert = await found.expert;
        found.bytes = floatBytes(expert.tensors.values());
        forgetOldest();
        return expert;
      } catch (error) {
        // Next time it may be there.
        if (kept.get(key) === found) kept.delete(key);
        throw error;
      }
    },
  };
}

/** What tells apart experts that have had one name, one after the other. */
export function versionOf({ sha256, files }: ExpertManifest): string {
  return [sha256, ...Object.values(files).map((file) => file.sha256)].join(" ");
}

import type { TrainedSystem } from "../evaluation/trained-system.js";
import { checkStoredExpert, type StoredExpert } from "../experts/stored-delta.js";
import type { ExpertManifest } from "../library/manifest.js";
import { TENSOR_FILES } from "../library/stored-files.js";
import type { Model } from "../models/model.js";

/**
 * A stored expert or multitask model as an evaluation needs it.
 * @param id Of an expert its id in the library; else the name of the system.
 * @returns steps and FLOPs of 0 where its manifest does not say, as of an imported one.
 * @throws CadreError as `checkStoredExpert`.
 */
export function storedSystem(
  stored: StoredExpert & { readonly manifest: ExpertManifest },
  { id, model }: { readonly id: string; readonly model: Pick<Model, "parameters" | "hookPoints"> },
): TrainedSystem {
  const { manifest, tensors } = stored;
  const { task, template, metrics, files } = manifest;
  const file = TENSOR_FILES.find((name) => Object.hasOwn(files, name)) ?? "";
  return {
    id,
    task,
    ...(template === undefined ? {} : { template }),
    delta: checkStoredExpert(stored, { where: manifest.name, model }),
    tensors,
    sha256: files[file]?.sha256 ?? "",
    steps: metrics.steps ?? 0,
    trainingFlops: metrics.trainingFlops ?? 0,
  };
}

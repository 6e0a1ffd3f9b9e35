import { CadreError } from "../core/errors.js";
import type { TrainedSystem } from "../evaluation/trained-system.js";
import { checkStoredExpert, type StoredExpert } from "../experts/stored-delta.js";
import type { ExpertManifest } from "../library/manifest.js";
import { TENSOR_FILES } from "../library/stored-files.js";
import type { Model } from "../models/model.js";

/** A stored expert with its manifest. */
type Stored = StoredExpert & { readonly manifest: ExpertManifest };

/**
 * What a stored expert or multitask model is, apart from its tensors, which are checked.
 * @param options.id Of an expert its id in the library; else the name of the system.
 * @returns steps and FLOPs of 0 where its manifest does not say, as of an imported one.
 * @throws CadreError as `checkStoredExpert`.
 */
export function describeSystem(
  stored: Stored,
  { id, model }: { readonly id: string; readonly model: Pick<Model, "parameters" | "hookPoints"> },
): Omit<TrainedSystem, "readTensors"> {
  const { manifest } = stored;
  const { task, template, metrics } = manifest;
  return {
    id,
    task,
    ...(template === undefined ? {} : { template }),
    delta: checkStoredExpert(stored, { where: manifest.name, model }),
    sha256: tensorHash(manifest),
    steps: metrics.steps ?? 0,
    trainingFlops: metrics.trainingFlops ?? 0,
  };
}

/**
 * A stored expert or multitask model as an evaluation needs it. Its tensors are checked now, but not held: however many systems there are, they
 * take no memory.
 * @param options.read reads it: now, and when tensors are asked for
 * @param options.id Of an expert its id in the library; else the name of the system.
 * @throws CadreError as `read` and `describeSystem`; from `readTensors` also `mismatch` where another expert took its place.
 */
export async function storedSystem({
  read,
  id,
  model,
}: {
  readonly read: () => Promise<Stored>;
  readonly id: string;
  readonly model: Pick<Model, "parameters" | "hookPoints">;
}): Promise<TrainedSystem> {
  const system = describeSystem(await read(), { id, model });
  return {
    ...system,
    async readTensors() {
      const { manifest, tensors } = await read();
      if (tensorHash(manifest) !== system.sha256) {
        throw new CadreError(
          "mismatch",
          `${manifest.name}: expected the expert that was there, found another in its place`,
        );
      }
      return tensors;
    },
  };
}

function tensorHash({ files }: ExpertManifest): string {
  const file = TENSOR_FILES.find((name) => Object.hasOwn(files, name)) ?? "";
  return files[file]?.sha256 ?? "";
}

import { join } from "node:path";
import { CadreError } from "../../core/errors.js";
import type { TrainedSystem } from "../../evaluation/trained-system.js";
import type { DeltaConfig } from "../../experts/delta-config.js";
import { peftConfig } from "../../experts/peft.js";
import { storedDelta } from "../../experts/stored-delta.js";
import type { ExpertKeys } from "../../library/expert-keys.js";
import type { NewExpertFields } from "../../library/manifest.js";
import { readExpertFolder } from "../../library/node/expert-folder.js";
import type { Library } from "../../library/node/library.js";
import type { Model } from "../../models/model.js";
import type { Tensor } from "../../tensors/tensor.js";
import { storedSystem } from "../stored-system.js";
import { holdsExpert, type SaveExpertOptions, saveExpert } from "./save-expert.js";

/** Digits of an identity that name a folder. */
const FOLDER_DIGITS = 16;

/** A trained model that is to be kept. */
export interface ModelToKeep {
  readonly manifest: Omit<NewExpertFields, "delta" | "identity"> & { readonly identity: string };
  /** Undefined where all weights were trained. */
  readonly delta: DeltaConfig | undefined;
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly keys?: ExpertKeys;
}

/** The place where one trained model is kept. */
export interface Shelf {
  /**
   * The model of the training with this identity; undefined where it is still to be trained.
   * @throws CadreError `already-exists` for another training's model that may not be replaced; as reading it does.
   */
  find(identity: string, model: Model): Promise<TrainedSystem | undefined>;
  /** Keeps a model, in the place of another training's. @throws CadreError as adding it does. */
  store(trained: ModelToKeep, model: Model): Promise<TrainedSystem>;
}

/** A place in a library. */
export function libraryShelf({
  library,
  name,
  replace,
}: {
  readonly library: Library;
  readonly name: string;
  /** Whether another training's expert of this name, or a damaged one, gives way. */
  readonly replace: boolean;
}): Shelf {
  const read = async (model: Model): Promise<TrainedSystem> => {
    const { id } = await library.find(name);
    return storedSystem({ read: () => library.read(id), id, model });
  };
  /** `none`; or the identity of the expert that is there, undefined for one that says none or is damaged. */
  const present = async (): Promise<{ readonly identity: string | undefined } | "none"> => {
    try {
      return { identity: (await library.find(name)).manifest.identity };
    } catch (error) {
      if (CadreError.isInstance(error) && error.code === "not-found") return "none";
      if (replace && CadreError.isInstance(error)) return { identity: undefined };
      throw error;
    }
  };
  return {
    async find(identity, model) {
      const found = await present();
      if (found === "none") return undefined;
      if (found.identity === identity) return read(model);
      if (replace) return undefined;
      throw new CadreError(
        "already-exists",
        `${library.path}: expected no expert ${JSON.stringify(name)}, or that of this very training, found one of other data, another recipe or another seed; ` +
          "have it replaced, remove it, rename the task, or give another library",
        { details: { path: library.path, expert: name } },
      );
    },
    async store({ manifest, delta, tensors, keys }, model) {
      await library.add(
        {
          manifest: { ...manifest, delta: storedDelta(delta) },
          tensors,
          adapterConfig: delta === undefined ? undefined : peftConfig(delta, library.base.id),
          keys,
        },
        { replace },
      );
      return read(model);
    },
  };
}

/** A place in a folder, beside those of other trainings. */
export function folderShelf({
  parent,
  systemId,
  base,
}: {
  readonly parent: string;
  readonly systemId: string;
  readonly base: SaveExpertOptions["base"];
}): Shelf {
  const folderOf = (identity: string): string => join(parent, `expert-${identity.slice(0, FOLDER_DIGITS)}`);
  const read = (identity: string, model: Model): Promise<TrainedSystem> =>
    storedSystem({ read: () => readExpertFolder(folderOf(identity)), id: systemId, model });
  return {
    async find(identity, model) {
      return (await holdsExpert(folderOf(identity), identity)) ? read(identity, model) : undefined;
    },
    async store({ manifest, delta, tensors }, model) {
      await saveExpert(folderOf(manifest.identity), { manifest, delta, tensors, base });
      return read(manifest.identity, model);
    },
  };
}

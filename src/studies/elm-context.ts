import type { TrainedSystem } from "../evaluation/trained-system.js";
import type { ExpertRecipe } from "../experts/expert-recipe.js";
import type { ModelFolder } from "../models/node/model-folder.js";
import type { PooledEncoder } from "../routing/pooled-encoder.js";
import type { Device } from "../runtime/device.js";
import type { UserTask } from "../tasks/user-task.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import type { ElmSettings } from "./elm-settings.js";
import type { ElmTasks } from "./node/read-elm-tasks.js";

/** One call of an {@link ElmTrainer}. */
export interface ElmTraining {
  /** Name and folder. */
  readonly base: { readonly name: string; readonly folder: string };
  readonly library: string;
  readonly runFolder: string;
  readonly tasks: readonly UserTask[];
  readonly recipe: ExpertRecipe;
  readonly mode: "experts" | "multitask" | "both";
  readonly per: "task" | "template";
}

/** What was trained. */
export interface ElmTrained {
  readonly experts: readonly TrainedSystem[];
  readonly multitask?: TrainedSystem;
  readonly multitaskOneBudget?: TrainedSystem;
  readonly failed: readonly { readonly task: string; readonly reason: string }[];
}

/**
 * Trains experts into a library; what is there already is not trained again. `trainIntoLibrary` of the façade, which lies above the studies and is
 * therefore given to them.
 */
export type ElmTrainer = (training: ElmTraining) => Promise<ElmTrained>;

/** What all parts of the study share. */
export interface ElmContext {
  readonly device: Device;
  readonly base: ModelFolder;
  readonly baseName: string;
  readonly baseFolder: string;
  /** As `hashBase` gives it. */
  readonly baseSha256: string;
  readonly tokenizer: Tokenizer;
  /** The base's own encoder, of routing texts. */
  readonly encoder: PooledEncoder;
  readonly settings: ElmSettings;
  readonly tasks: ElmTasks;
  /** Everything that is computed lies under it; it belongs to this base, these settings and this list of tasks. */
  readonly folder: string;
  readonly train: ElmTrainer;
  readonly onProgress: (message: string) => void;
}

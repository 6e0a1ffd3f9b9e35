import type { StreamPosition } from "../mixtures/example-stream.js";
import type { Tensor } from "../tensors/tensor.js";
import type { Fingerprint } from "./fingerprint.js";

/** What the length limits cut since the first step. */
export interface TruncationCounts {
  readonly truncatedExamples: number;
  readonly inputTokensCut: number;
  readonly targetTokensCut: number;
}

/** The best validation so far. */
export interface BestScore {
  /** Its step, at which a checkpoint was saved. */
  readonly step: number;
  readonly score: number;
}

/** Everything from which a training goes on as if it had not stopped. */
export interface Checkpoint {
  /** Steps done. */
  readonly step: number;
  /** What must be equal for the continuation to be the same training. */
  readonly fingerprint: Fingerprint;
  /** Where the data of the next step lies. */
  readonly stream: StreamPosition;
  readonly truncation: TruncationCounts;
  readonly best?: BestScore | undefined;
  /** Trained parameters and optimizer state. */
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** What `CheckpointStore.latest` finds. */
export interface LatestCheckpoint {
  readonly checkpoint: Checkpoint;
  /** The checkpoint of `checkpoint.best.step`, if there is one; it may be the same one. */
  readonly best: Checkpoint | undefined;
  /** Why newer checkpoints were passed over, a message each. */
  readonly damaged: readonly string[];
}

/**
 * Keeps checkpoints; `training/node` has one in a folder. Which one is the best is a fact of the checkpoint itself, so that a process may be
 * killed between any two operations.
 */
export interface CheckpointStore {
  /**
   * Writes a checkpoint that is either there as a whole or not at all, and returns where. One of the same step is replaced; later ones, which
   * were passed over as damaged, are removed.
   */
  save(checkpoint: Checkpoint): Promise<string>;
  /**
   * The newest checkpoint that is whole together with its best one.
   * @throws CadreError `invalid-file` if none of those there is; `mismatch` if one is of a newer format.
   */
  latest(): Promise<LatestCheckpoint | undefined>;
}

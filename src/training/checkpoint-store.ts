import type { StreamPosition } from "../mixtures/example-stream.js";
import type { Tensor } from "../tensors/tensor.js";

/** Everything from which a training goes on as if it had not stopped. */
export interface Checkpoint {
  /** Steps done. */
  readonly step: number;
  /** Hash of what must be equal for the continuation to be the same training. */
  readonly fingerprint: string;
  /** Where the data of the next step lies. */
  readonly stream: StreamPosition;
  /** Score of the best checkpoint so far. */
  readonly bestScore?: number | undefined;
  /** Trained parameters and optimizer state. */
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** Keeps checkpoints; `training/node` has one in a folder. */
export interface CheckpointStore {
  /** Writes a checkpoint that is either there as a whole or not at all; returns where. */
  save(checkpoint: Checkpoint, options: { readonly best: boolean }): Promise<string>;
  /** The newest checkpoint that is whole. @throws CadreError `invalid-file` if none of those there is. */
  latest(): Promise<Checkpoint | undefined>;
  /** The best one by validation. */
  best(): Promise<Checkpoint | undefined>;
}

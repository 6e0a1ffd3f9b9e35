import type { DeltaConfig } from "../experts/delta-config.js";
import type { Tensor } from "../tensors/tensor.js";

/** What training has added to a base, as an evaluation needs it: an expert, or a multitask model. */
export interface TrainedSystem {
  /** Of an expert its id in the library; else the name of the system. */
  readonly id: string;
  /** The task that an expert was trained on. */
  readonly task: string;
  /** The name of the only template that it was trained on. */
  readonly template?: string;
  /** Undefined where all weights were trained; the tensors are then the model's. */
  readonly delta: DeltaConfig | undefined;
  /** Reads them, at every call anew: under the names that its kind gives them, in any float dtype. @throws CadreError as reading does. */
  readonly readTensors: () => Promise<ReadonlyMap<string, Tensor>>;
  /** Of the stored tensors, 64 hexadecimal digits. */
  readonly sha256: string;
  /** Training steps. */
  readonly steps: number;
  /** 2 for each multiply-add, recomputation not counted. */
  readonly trainingFlops: number;
}

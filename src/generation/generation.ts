import type { Delta } from "../models/delta.js";
import type { Model } from "../models/model.js";
import type { WeightedExpert } from "../models/packed-batch.js";
import type { Device } from "../runtime/device.js";
import type { Tensor } from "../tensors/tensor.js";
import type { Weights } from "../training/weights.js";

/** Options of `createTokenGenerator`. */
export interface TokenGeneratorOptions {
  readonly device: Device;
  /** A model that has `decoding`. */
  readonly model: Model;
  /** The model's weights; files in float32 are mapped, others are held in memory. */
  readonly weights: Weights;
  /** Applied to the model; its tensors come with each call. */
  readonly delta?: Delta;
  /** Most input tokens, end token included; longer inputs are cut and counted. Default 512. */
  readonly inputLength?: number;
}

/** What is answered. */
export interface GenerationRow {
  /** Token ids, with the end token. */
  readonly input: Int32Array;
  /** The experts that answer it, where the delta is one that chooses by row (`mixExperts`); none is the base, which is the default. */
  readonly experts?: readonly WeightedExpert[];
}

/** Options of a call. */
export interface GenerateOptions {
  /** Most tokens of an answer, the end token included; 1 or more, default 64. */
  readonly maxNewTokens?: number;
  /** The delta's tensors. Successive calls with the same map write them to the device once: give another map for other tensors. */
  readonly deltaTensors?: ReadonlyMap<string, Tensor>;
  /** Takes effect between two runs of some steps. */
  readonly signal?: AbortSignal;
}

/** Tokens of a row that one run of steps made. */
export interface GeneratedPart {
  /** Position in the caller's list. */
  readonly row: number;
  /** At least one; the last of an answer that ended by itself is the end token. */
  readonly ids: Int32Array;
  /** Of each token under the model's own distribution, in nats. */
  readonly logProbabilities: Float32Array;
  /** Given with a row's last part: it ended by itself, or it reached `maxNewTokens`. */
  readonly finish?: "end" | "length";
}

/** An answer. */
export interface Generated {
  /** The last one is the end token where `finish` is `end`. */
  readonly ids: Int32Array;
  /** As many; in nats, under the model's own distribution. */
  readonly logProbabilities: Float32Array;
  readonly finish: "end" | "length";
  /** Tokens that the input lost to `inputLength`. */
  readonly inputTokensCut: number;
}

/** Makes text, as tokens, with one model; calls are answered one after the other. */
export interface TokenGenerator extends AsyncDisposable {
  /**
   * Answers rows greedily: the most likely token at every step.
   * @returns In the order of the rows.
   * @throws CadreError `invalid-argument` (a row, an option), `not-found` (an expert), `mismatch` (tensors), `non-finite`, `aborted`, `closed`.
   */
  generate(rows: readonly GenerationRow[], options?: GenerateOptions): Promise<Generated[]>;
  /**
   * The same, part by part as they are made, rows that are decoded together mixed. Other calls wait until the last part was taken or the
   * iteration was left.
   */
  stream(rows: readonly GenerationRow[], options?: GenerateOptions): AsyncGenerator<GeneratedPart, void, undefined>;
  close(): Promise<void>;
}

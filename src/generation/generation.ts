import type { Delta } from "../models/delta.js";
import type { Model } from "../models/model.js";
import type { WeightedExpert } from "../models/packed-batch.js";
import type { Device } from "../runtime/device.js";
import type { Tensor } from "../tensors/tensor.js";
import type { Weights } from "../training/weights.js";
import type { RowOptions } from "./row-options.js";

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

/** What is answered, and by whom. */
export interface AnsweredRow {
  /** Token ids, with the end token. */
  readonly input: Int32Array;
  /** The experts that answer it, where the delta is one that chooses by row (`mixExperts`); none is the base, which is the default. */
  readonly experts?: readonly WeightedExpert[];
}

/** What is answered, and how its tokens are chosen. Several samples of one input are several rows with seeds of their own (`sampleSeed`). */
export interface GenerationRow extends AnsweredRow {
  /** Default: the likeliest token at every step. */
  readonly options?: RowOptions;
}

/** Options of a call. */
export interface GenerateOptions {
  /** Most tokens of an answer, the end token included, of rows that do not say; 1 or more, default 64. */
  readonly maxNewTokens?: number;
  /** The delta's tensors. Successive calls with the same map write them to the device once: give another map for other tensors. */
  readonly deltaTensors?: ReadonlyMap<string, Tensor>;
  /** Takes effect between two runs of some steps. */
  readonly signal?: AbortSignal;
}

/** The likeliest tokens at a step. */
export interface TopTokens {
  /** As many as the row asks for (of a smaller vocabulary, all), the likeliest first. */
  readonly ids: Int32Array;
  /** As many; in nats, under the model's own distribution: before penalty, temperature and what else a row asks for. */
  readonly logProbabilities: Float32Array;
}

/** Tokens of a row that one run of steps made. */
export interface GeneratedPart {
  /** Position in the caller's list. */
  readonly row: number;
  /** At least one; the last of an answer that ended by itself is the end token. */
  readonly ids: Int32Array;
  /** Of each token under the model's own distribution, in nats. */
  readonly logProbabilities: Float32Array;
  /** One a token, where the row asks for `topLogProbabilities`. */
  readonly top?: readonly TopTokens[];
  /** Given with a row's last part: it ended by itself, or it reached `maxNewTokens`. */
  readonly finish?: "end" | "length";
}

/** An answer. */
export interface Generated {
  /** The last one is the end token where `finish` is `end`. */
  readonly ids: Int32Array;
  /** As many; in nats, under the model's own distribution. */
  readonly logProbabilities: Float32Array;
  /** As many, where the row asks for `topLogProbabilities`. */
  readonly top?: readonly TopTokens[];
  readonly finish: "end" | "length";
  /** Tokens that the input lost to `inputLength`. */
  readonly inputTokensCut: number;
}

/** Answers as they are made. */
export interface TokenStream extends AsyncGenerator<GeneratedPart, void, undefined> {
  /**
   * Ends a row, at a stop text say: no further part of it comes, and it leaves the batch when half of the rows that it has have ended. The
   * other rows go on. Rows that are not there, or have ended, are left alone.
   */
  stop(row: number): void;
}

/** Makes text, as tokens, with one model; calls are answered one after the other. */
export interface TokenGenerator extends AsyncDisposable {
  /**
   * Answers rows, each by its own options.
   * @returns In the order of the rows.
   * @throws CadreError `invalid-argument` (a row, an option), `not-found` (an expert), `mismatch` (tensors), `non-finite`, `aborted`, `closed`.
   */
  generate(rows: readonly GenerationRow[], options?: GenerateOptions): Promise<Generated[]>;
  /**
   * The same, part by part as they are made, rows that are decoded together mixed. Other calls wait until the last part was taken or the
   * iteration was left.
   */
  stream(rows: readonly GenerationRow[], options?: GenerateOptions): TokenStream;
  close(): Promise<void>;
}

/** A row of a beam search. */
export interface BeamRow extends AnsweredRow {
  /** How many partial answers are followed: 2 to 32, at most half of the vocabulary. (One is `generate`.) */
  readonly beams: number;
  /** As in `RowOptions`; here it multiplies log-probabilities, as in transformers. */
  readonly repetitionPenalty?: number;
  /** Most tokens of an answer, the end token included; 1 or more, default the call's. */
  readonly maxNewTokens?: number;
}

/** One of the answers that a beam search found. */
export interface BeamAnswer {
  /** The last one is the end token where `finish` is `end`. */
  readonly ids: Int32Array;
  /** As many; in nats, under the model's own distribution. */
  readonly logProbabilities: Float32Array;
  /** The mean of the (penalised) log-probabilities of its tokens: transformers' `sequences_scores` at its default length penalty of 1. */
  readonly score: number;
  readonly finish: "end" | "length";
}

/** What a beam search answers to a row. */
export interface BeamAnswers {
  /** As many as beams, the best first. */
  readonly answers: readonly BeamAnswer[];
  /** Tokens that the input lost to `inputLength`. */
  readonly inputTokensCut: number;
}

/** Searches for the likeliest answers instead of taking the likeliest tokens. */
export interface BeamSearcher {
  /**
   * Beam search, as transformers' with its defaults (length penalty 1, `early_stopping` off). Takes turns with the calls of the generator.
   * @returns In the order of the rows.
   * @throws CadreError as `generate`.
   */
  searchBeams(rows: readonly BeamRow[], options?: GenerateOptions): Promise<BeamAnswers[]>;
}

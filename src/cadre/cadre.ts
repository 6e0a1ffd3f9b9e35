import type { WeightedExpert } from "../models/packed-batch.js";
import type { QueryTrace, RankedExpert } from "../routing/router.js";

/**
 * Who answers: `"auto"` the expert that routing finds, `"base"` the base alone, else an expert's id, name or unambiguous slug, or several with
 * weights (their deltas' effects are added, each times its weight; at most 16, none is the base).
 */
export type ExpertSelection = "auto" | "base" | (string & {}) | readonly WeightedExpert[];

/** Options of every question. */
export interface AskOptions {
  /** Default `"auto"`; in a library whose experts have no keys, or of none, the base. */
  readonly experts?: ExpertSelection;
  /** Ends the call at once; the engine stops working for it between two runs. */
  readonly signal?: AbortSignal;
}

/** Who answered, and why. */
export interface AnswerRouting {
  /** How the experts were chosen. */
  readonly by: "auto" | "base" | "request";
  /** Who answered, with weights that add up to 1 where routing chose; none is the base. */
  readonly experts: readonly (WeightedExpert & { readonly name: string })[];
  /**
   * The experts of the nearest keys, by how many of these are theirs, most first; empty unless `by` is `auto`. It tells how sure the choice is: the
   * expert of the nearest key answers, which need not have most.
   */
  readonly ranking: readonly RankedExpert[];
  /** The ten keys nearest to the input, in one element; empty unless `by` is `auto`. */
  readonly trace: readonly QueryTrace[];
  /**
   * Given where routing looked at the beginning of the input only: tokens that it left out. It reads up to 256 tokens, fewer than the expert that
   * answers.
   */
  readonly inputTokensCut?: number;
}

/** What every answer says of its input. */
export interface AnsweredInput {
  readonly routing: AnswerRouting;
  /** Tokens that were read, end token included. */
  readonly inputTokens: number;
  /** Tokens that the input lost to the limit of its length; 0 where all was read. */
  readonly inputTokensCut: number;
}

/** Options of `classify`. */
export interface ClassifyOptions extends AskOptions {
  /** The labels to choose from, two or more different ones. Default: those that the answering expert was trained on. */
  readonly choices?: readonly string[];
}

/** A label and how likely it is. */
export interface ScoredChoice {
  readonly choice: string;
  /** Of all tokens of the label with the end token, in nats; not normalised by length (as ELM). */
  readonly logProbability: number;
  /** Its share among the choices, in [0, 1]. */
  readonly probability: number;
}

/** Answer of `classify`. */
export interface Classification extends AnsweredInput {
  /** The likeliest; of equal ones the first in the order given. */
  readonly choice: string;
  /** All choices in the order given. */
  readonly scores: readonly ScoredChoice[];
}

/** Options of `generate` and `stream`, the names and meanings of transformers' `generate`. */
export interface GenerateTextOptions extends AskOptions {
  /** Most tokens of an answer, end token included, up to 4096; default 64. */
  readonly maxTokens?: number;
  /** 0 is greedy (the default); above it tokens are drawn from the distribution at that temperature. */
  readonly temperature?: number;
  /** Draws among so many of the likeliest tokens; default all. */
  readonly topK?: number;
  /** Draws among the likeliest tokens that together reach this probability, in (0, 1]; default 1, all. */
  readonly topP?: number;
  /** Draws among tokens at least this share as likely as the likeliest, in [0, 1]; default 0, all. */
  readonly minP?: number;
  /** Divides (multiplies, where negative) the logits of tokens that the answer has already; default 1. */
  readonly repetitionPenalty?: number;
  /** Beam search over so many beams instead of drawing; default 1. Not with `temperature` above 0, not in `stream`. */
  readonly beams?: number;
  /** Answers to one input; default 1. */
  readonly samples?: number;
  /** The answer ends before the first of these texts, which is left out. At most 16. */
  readonly stop?: readonly string[];
  /** Decides what is drawn; equal seeds with equal requests give equal answers. Default: a new one a request. */
  readonly seed?: number;
  /** So many of the likeliest tokens are listed at every step, 0 to 20; without it no tokens are listed. */
  readonly logProbabilities?: number;
}

/** A token of an answer. */
export interface AnswerToken {
  readonly text: string;
  /** Under the model's own distribution, in nats. */
  readonly logProbability: number;
  /** The likeliest tokens at this step, the likeliest first. */
  readonly top: readonly { readonly text: string; readonly logProbability: number }[];
}

/** Why an answer ended: by itself, at a stop text, or at `maxTokens`. */
export type FinishReason = "end" | "stop" | "length";

/** One answer's text. */
export interface GeneratedText {
  readonly text: string;
  readonly finish: FinishReason;
  /** Tokens that were made, the end token and those of a stop text included. */
  readonly tokenCount: number;
  /** Of all these tokens, in nats. */
  readonly logProbability: number;
  /** Given where `logProbabilities` was. */
  readonly tokens?: readonly AnswerToken[];
}

/** Answer of `generate`. */
export interface Generation extends AnsweredInput {
  /** Of the first answer: `outputs[0].text`. */
  readonly text: string;
  /** As many as `samples`. */
  readonly outputs: readonly GeneratedText[];
}

/** A piece of a streamed answer; all pieces of a sample together are its text. */
export interface TextPart {
  /** May be empty in the last part. Never half of a character, never the beginning of a stop text. */
  readonly text: string;
  /** Which of the samples, from 0. */
  readonly sample: number;
  /** Tokens of this part. Given where `logProbabilities` was. */
  readonly tokens?: readonly AnswerToken[];
  /** Tokens that the sample has made so far. */
  readonly tokenCount: number;
  /** Given with a sample's last part. */
  readonly finish?: FinishReason;
  /** The same in every part. */
  readonly answered: AnsweredInput;
}

/** What a cadre says of an expert. */
export interface ExpertSummary {
  readonly id: string;
  readonly name: string;
  /** `multitask` ones answer when they are asked for and are never routing candidates. */
  readonly role: "expert" | "multitask";
  readonly kind: "bottleneck" | "lora" | "ia3" | "full";
  readonly task: string;
  /** The labels that it was trained on; absent where its task has no fixed ones. */
  readonly choices?: readonly string[];
  /** Whether routing can choose it. */
  readonly routable: boolean;
  /** ISO 8601 in UTC. */
  readonly created: string;
}

/** Vectors of texts. */
export interface Embeddings {
  /** One a text, each of length 1. */
  readonly vectors: readonly Float32Array[];
  readonly width: number;
  /** Tokens that were read, of all texts together, their end tokens included. */
  readonly inputTokens: number;
  /** Given where a text was longer than the 256 tokens that are read: for each text the tokens that it lost, 0 where all was read. */
  readonly inputTokensCut?: readonly number[];
}

/** A library loaded on a device, ready to answer. Calls may overlap; they share batches. */
export interface Cadre extends AsyncDisposable {
  /** Name of the library's base, e.g. `cadre-mini`. */
  readonly base: string;
  /** The experts as of the opening or the last `refresh`, in the order of their ids. */
  readonly experts: readonly ExpertSummary[];
  /**
   * The likeliest of some labels.
   * @throws CadreError `invalid-argument` (empty text; fewer than two or equal choices; an expert without choices of its own where none are given),
   * `not-found` (an unknown expert, with near names), `aborted`, `closed`, `engine-lost` (the engine's process died; the next call starts another).
   */
  classify(input: string, options?: ClassifyOptions): Promise<Classification>;
  /** Text after an input. @throws CadreError as `classify`; `unsupported` for options that do not go together. */
  generate(input: string, options?: GenerateTextOptions): Promise<Generation>;
  /** The same, piece by piece; ends, and frees what it held, when its reader leaves or the signal aborts. @throws CadreError as `generate`. */
  stream(input: string, options?: GenerateTextOptions): AsyncGenerator<TextPart, void, undefined>;
  /** Who would answer. @throws CadreError as `classify`. */
  route(input: string, options?: AskOptions): Promise<AnswerRouting>;
  /**
   * The vectors that routing compares, of texts of one's own: of the first 256 tokens of each.
   * @throws CadreError `unsupported` where the library's encoder gives none.
   */
  embed(texts: readonly string[], options?: { readonly signal?: AbortSignal }): Promise<Embeddings>;
  /** Sees experts that were added or removed since; calls that are under way keep theirs. */
  refresh(): Promise<void>;
  /** Pending calls are rejected; afterwards every call is. */
  close(): Promise<void>;
}

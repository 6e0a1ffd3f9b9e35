import type { Value } from "../graph/graph.js";
import type { Tensor } from "../tensors/tensor.js";
import type { BatchInput, BuildContext, TargetStates } from "./build-context.js";
import type { CacheWindow, StepAttention } from "./cached-attention.js";
import type { PackedBatch } from "./packed-batch.js";

/** The shape of a batch that is decoded: one example a row. */
export interface DecodingShape {
  readonly rows: number;
  /** Input tokens that a row has room for. */
  readonly inputLength: number;
}

/** An attention of which the steps keep keys and values, one entry a step. */
export interface CacheSpec {
  readonly name: string;
  readonly heads: number;
  readonly headWidth: number;
}

/** Keys and values `[rows, heads, entries, headWidth]` of an attention. */
export interface KeysAndValues {
  readonly keys: Value;
  readonly values: Value;
}

/** How a batch begins. */
export interface DecodingStart {
  /** The feeds of `Decoding.inputs`. */
  readonly feeds: Readonly<Record<string, Tensor>>;
  /** `[rows]`: the token that the first step reads. */
  readonly ids: Int32Array;
  /** `[rows]`: entries that the prefill leaves in a row's caches. */
  readonly pastLengths: Int32Array;
}

/** What a prefill leaves for the steps. */
export interface Prefill {
  /** By the names of `Decoding.memory`. */
  readonly memory: Readonly<Record<string, Value>>;
  /** By the names of the caches, `pastLength` entries of which a row's own are the last; empty where `pastLength` is 0. */
  readonly past: Readonly<Record<string, KeysAndValues>>;
}

/** What all steps of a program share. */
export interface StepSurroundings {
  readonly shape: DecodingShape;
  readonly window: CacheWindow;
  readonly memory: Readonly<Record<string, Value>>;
  /** `[rows]`, int32: entries of the window's past that are a row's own. */
  readonly pastLengths: Value;
}

/** What a step is built from. */
export interface DecodingStep {
  /** `[rows]`, int32: the tokens that it reads. */
  readonly ids: Value;
  /** Its number within the run, from 0: an int32 scalar. */
  readonly index: Value;
  /** 0 at the entries that a row sees and a large negative number at the others, `[1 or rows, 1, 1, past + recent]`. */
  readonly mask: Value;
  /**
   * Adds the step's key and value to a cache and attends to all that it holds, `[rows, heads, 1, headWidth]`. `bias` is added to the
   * scores, mask included; `scale` is their factor, default 1. Each cache takes one call a step.
   */
  readonly attend: (
    cache: string,
    step: StepAttention,
    options: { readonly bias: Value; readonly scale?: number },
  ) => Value;
}

/**
 * How a model makes text token by token: a prefill reads the inputs, then every step reads one token a row and predicts the next. What a
 * step needs of the past lies either in memory, which stays as the prefill made it, or in caches, which grow by an entry a step.
 */
export interface Decoding {
  readonly caches: readonly CacheSpec[];
  /** Entries that the prefill leaves in the caches at most; 0 where inputs go into the memory alone. */
  readonly pastLength: (shape: DecodingShape) => number;
  readonly memory: (shape: DecodingShape) => readonly BatchInput[];
  /** The prefill's graph inputs. */
  readonly inputs: (shape: DecodingShape) => readonly BatchInput[];
  /** How a batch of one example a row begins; its targets are not read. */
  readonly start: (batch: PackedBatch) => DecodingStart;
  /** Adds the prefill to a graph; `batch` holds a value for each of `inputs`. */
  readonly prefill: (context: BuildContext, batch: Readonly<Record<string, Value>>) => Prefill;
  /**
   * Adds what all steps share to a graph and returns what builds a step, in that graph or in a loop within it: states `[rows, width]` that
   * predict the next token.
   */
  readonly steps: (context: BuildContext, surroundings: StepSurroundings) => (step: DecodingStep) => TargetStates;
}

import type { Value } from "../graph/graph.js";
import type { ParameterSpec } from "./parameter.js";

/** What a sub-layer does. */
export type SubLayerKind = "self-attention" | "cross-attention" | "feed-forward";

/** A sub-layer of a model, the place of hook points. */
export interface SubLayer {
  /** Its path in the model's parameter names, e.g. `encoder.block.3.layer.1`. */
  readonly path: string;
  readonly kind: SubLayerKind;
  /** Width of its output. */
  readonly width: number;
}

/** A projection `output = input · weightᵀ` of a model. */
export interface Projection {
  /** The weight's name. */
  readonly name: string;
  /** `[rows, length, inputs]` */
  readonly input: Value;
  /** `[outputs, inputs]` */
  readonly weight: Value;
  readonly output: Value;
  /** `[rows, length]`, int32: the example of its row that a position belongs to, from 1; 0 is padding. */
  readonly segments: Value;
}

/** A normalisation over the last axis with a weight for each column. */
export interface Normalization {
  /** The weight's name. */
  readonly name: string;
  /** `[columns]` */
  readonly weight: Value;
  readonly output: Value;
  /** As in `Projection`. */
  readonly segments: Value;
  /** The output as it would be with a weight of ones. */
  readonly unweighted: () => Value;
}

/** Embeddings that a model has looked up. */
export interface Embedding {
  /** The module's name, e.g. `encoder.embed_tokens`. */
  readonly name: string;
  /** `[rows, length]`, int32 */
  readonly ids: Value;
  /** `[rows, length, width]` */
  readonly output: Value;
  /** As in `Projection`. */
  readonly segments: Value;
}

/** Named points at which a delta reaches into a model. Each returns what the model goes on with. */
export interface Hooks {
  /** Instead of a projection's output; a node that is not used costs nothing. */
  readonly linear?: (projection: Projection) => Value;
  /** Instead of looked-up embeddings. */
  readonly embedding?: (embedding: Embedding) => Value;
  /** Instead of a normalisation's output. */
  readonly norm?: (normalization: Normalization) => Value;
  /** After a sub-layer's output, before dropout and the residual connection. `output [rows, length, d]`; segments as in `Projection`. */
  readonly afterSubLayer?: (subLayer: SubLayer, output: Value, segments: Value) => Value;
}

/** One of the projections and sub-layers of a model that deltas can address. */
export interface HookPoints {
  /** Weights of projections: name, output width, input width. */
  readonly linears: readonly { readonly name: string; readonly outputs: number; readonly inputs: number }[];
  readonly subLayers: readonly SubLayer[];
  /** Embeddings that are looked up: name of the module, pieces, width. */
  readonly embeddings: readonly { readonly name: string; readonly pieces: number; readonly width: number }[];
  /** The normalisation weights. */
  readonly norms: readonly ParameterSpec[];
}

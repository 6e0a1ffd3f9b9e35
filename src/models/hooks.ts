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
  readonly input: Value;
  /** `[outputs, inputs]` */
  readonly weight: Value;
  readonly output: Value;
}

/** Named points at which a delta reaches into a model. Each returns what the model goes on with. */
export interface Hooks {
  /** Instead of a projection's output; a node that is not used costs nothing. */
  readonly linear?: (projection: Projection) => Value;
  /** After a sub-layer's output, before dropout and the residual connection. `output [rows, length, d]`. */
  readonly afterSubLayer?: (subLayer: SubLayer, output: Value) => Value;
}

/** One of the projections and sub-layers of a model that deltas can address. */
export interface HookPoints {
  /** Weights of projections: name, output width, input width. */
  readonly linears: readonly { readonly name: string; readonly outputs: number; readonly inputs: number }[];
  readonly subLayers: readonly SubLayer[];
  /** The normalisation weights. */
  readonly norms: readonly ParameterSpec[];
}

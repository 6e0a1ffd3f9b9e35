import { CadreError } from "../core/errors.js";
import { Graph, type Value } from "../graph/graph.js";
import { runtimeZeros } from "../graph/ops/primitives.js";
import type { BatchInput, BuildContext } from "../models/build-context.js";
import type { CacheWindow } from "../models/cached-attention.js";
import type { CacheSpec, Decoding, DecodingShape } from "../models/decoding.js";
import type { Delta } from "../models/delta.js";
import type { Model } from "../models/model.js";
import type { BatchShape } from "../models/packed-batch.js";
import { type FrozenWeights, frozenParameters } from "../training/weights.js";

/** What the programs of a batch shape are made of. */
export interface DecodeProgramOptions {
  readonly model: Model;
  readonly decoding: Decoding;
  /** Its tensors are inputs of the programs. */
  readonly delta: Delta | undefined;
  /** Where those parameters of the model are that the delta does not replace. */
  readonly frozen: FrozenWeights;
  readonly shape: DecodingShape;
  readonly window: CacheWindow;
}

/** A program and the slots of the state that a run of it replaces: slot to output. */
export interface DecodeProgram {
  readonly bytes: Uint8Array;
  readonly updates: Readonly<Record<string, string>>;
}

/** What a cache keeps. */
export const PARTS = ["keys", "values"] as const;

/** The slot of a tensor that the prefill makes and the steps read. */
export function memorySlot(name: string): string {
  return `memory:${name}`;
}

/** The slot of what a cache holds of earlier runs, `[rows, heads, past, headWidth]`. */
export function pastSlot({ name }: CacheSpec, part: (typeof PARTS)[number]): string {
  return `past:${name}.${part}`;
}

/** The batch as packing sees it: one example a row, with no more than a place for a target. */
export function packShape({ rows, inputLength }: DecodingShape): BatchShape {
  return { rows, inputLength, targetLength: 1, sequences: 1 };
}

/** Room for the tokens that a row has read before a run and the one that its first step reads. */
export function historyLength({
  decoding,
  shape,
  window,
}: Pick<DecodeProgramOptions, "decoding" | "shape" | "window">): number {
  return window.past - decoding.pastLength(shape) + 1;
}

/** A graph with these inputs and the delta's batch inputs, in which parameters become inputs or mapped constants as they are asked for. */
export function beginProgram(
  { model, delta, frozen, shape }: DecodeProgramOptions,
  inputs: readonly BatchInput[],
): { readonly graph: Graph; readonly context: BuildContext; readonly batch: Readonly<Record<string, Value>> } {
  const graph = new Graph();
  const declare = (all: readonly BatchInput[]): Record<string, Value> =>
    Object.fromEntries(all.map(({ name, dtype, shape: size }) => [name, graph.input(name, dtype, size)]));
  const batch = declare(inputs);
  const own = new Map((delta?.parameters ?? []).map((parameter) => [parameter.name, parameter]));
  const ofModel = new Map(model.parameters.map((parameter) => [parameter.name, parameter]));
  const values = new Map<string, Value>();
  const parameter = (name: string): Value => {
    const specification = own.get(name) ?? known(ofModel.get(name), name);
    const value =
      values.get(name) ??
      (own.has(name)
        ? graph.input(name, "float32", specification.shape)
        : known(frozenParameters(graph, [specification], frozen).get(name), name));
    values.set(name, value);
    return value;
  };
  const hooks = delta?.hooks(parameter, declare(delta.batchInputs?.(packShape(shape)) ?? []));
  return { graph, batch, context: { graph, parameter, ...(hooks === undefined ? {} : { hooks }) } };
}

/** Zeros for entries of a cache. @param source Any integer value of the graph. */
export function emptyEntries(
  { rows }: DecodingShape,
  { heads, headWidth }: CacheSpec,
  { entries, source }: { readonly entries: number; readonly source: Value },
): Value {
  return runtimeZeros(source, "float32", [rows, heads, entries, headWidth]);
}

/** @throws CadreError `internal` where there is nothing under that name. */
export function known<Found>(found: Found | undefined, name: string): Found {
  if (found === undefined) {
    throw new CadreError("internal", `decoding: nothing provides ${name}`);
  }
  return found;
}

import type { Delta } from "../models/delta.js";
import type { Model } from "../models/model.js";
import type { Device } from "../runtime/device.js";
import type { Tensor } from "../tensors/tensor.js";
import type { Weights } from "../training/weights.js";
import type { AnswerGroup } from "./answer-group.js";
import { createExpertStack, type LoadedExpert } from "./expert-stack.js";

/** What every lane of an engine works with. */
export interface LaneOptions {
  readonly device: Device;
  readonly model: Model;
  /** The base's. */
  readonly weights: Weights;
  /** Most input tokens, end token included. */
  readonly inputLength: number;
}

/** A model whose experts, as far as there is room, are ready. */
export interface HeldModel {
  /** Programs serve as long as it is the same. */
  readonly programKey: string;
  /** What scorers and generators are made with. */
  readonly sources: LaneOptions & { readonly delta?: Delta; readonly perRow?: number };
  /** What their calls take beside rows; the same map as long as the experts are the same. */
  readonly call: { readonly deltaTensors?: ReadonlyMap<string, Tensor> };
}

/** Gets the model of a group ready for rows. */
export interface ModelHolder {
  /** How many different experts one call of `hold` takes; `wanted` are all that a batch names. */
  capacity(wanted: readonly LoadedExpert[]): number;
  /** @throws CadreError as `mixExperts`. */
  hold(wanted: readonly LoadedExpert[]): HeldModel;
}

/** The holder of a group's model. */
export function createModelHolder(group: AnswerGroup, options: LaneOptions): ModelHolder {
  if (group.kind !== "stacked") {
    const weights = group.kind === "full" ? group.expert.tensors : options.weights;
    const held: HeldModel = { programKey: group.key, sources: { ...options, weights }, call: {} };
    return { capacity: () => 1, hold: () => held };
  }
  const { perRow } = group;
  const stack = createExpertStack({ points: options.model.hookPoints, perRow });
  return {
    capacity: stack.capacity,
    hold(wanted) {
      const { delta, tensors, programKey } = stack.hold(wanted);
      return { programKey, sources: { ...options, delta, perRow }, call: { deltaTensors: tensors } };
    },
  };
}

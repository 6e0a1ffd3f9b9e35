import { CadreError } from "../core/errors.js";
import type { Graph, Value } from "../graph/graph.js";
import type { ParameterSpec } from "../models/parameter.js";
import { castTensor } from "../tensors/convert.js";
import type { Tensor } from "../tensors/tensor.js";
import type { TensorSource } from "../tensors/tensor-source.js";

/** A model's weights: in memory, or in safetensors files of which the runtime maps the frozen ones. */
export type Weights = ReadonlyMap<string, Tensor> | TensorSource;

/** How a program reaches frozen weights: mapped from a folder's files, within the program itself (float32), or as slots of the state. */
export type FrozenWeights =
  | { readonly kind: "mapped"; readonly source: TensorSource; readonly folder: string }
  | { readonly kind: "held"; readonly tensors: ReadonlyMap<string, Tensor> }
  | { readonly kind: "slots" };

/**
 * Decides how frozen weights are reached. Only float32 files are mapped: a cast of f16 would run at every step, so such weights are
 * converted once, in memory.
 */
export function frozenWeights(weights: Weights, parameters: readonly ParameterSpec[]): FrozenWeights {
  if (!isSource(weights)) {
    return { kind: "slots" };
  }
  const folders = new Set<string>();
  for (const { name } of parameters) {
    const location = weights.tensors.get(name);
    if (location === undefined || location.dtype !== "float32") {
      return { kind: "slots" };
    }
    folders.add(location.path.slice(0, lastSeparator(location.path)));
  }
  const [folder, ...others] = folders;
  return folder === undefined || others.length > 0 ? { kind: "slots" } : { kind: "mapped", source: weights, folder };
}

/** Adds frozen parameters to a graph, as constants or as inputs. */
export function frozenParameters(
  graph: Graph,
  parameters: readonly ParameterSpec[],
  frozen: FrozenWeights,
): Map<string, Value> {
  return new Map(
    parameters.map(({ name, shape }) => {
      if (frozen.kind === "slots") {
        return [name, graph.input(name, "float32", shape)];
      }
      if (frozen.kind === "held") {
        const tensor = frozen.tensors.get(name);
        expectParameter(tensor, { name, shape, where: "weights" });
        return [name, graph.constant(tensor, name)];
      }
      const location = frozen.source.tensors.get(name);
      expectParameter(location, { name, shape, where: location?.path ?? frozen.source.path });
      const { dtype, path, offset, length } = location;
      return [
        name,
        graph.constant({ dtype, shape, location: path.slice(lastSeparator(path) + 1), offset, length }, name),
      ];
    }),
  );
}

/** Reads parameters as float32. @throws CadreError `mismatch` naming a missing tensor or a wrong shape. */
export async function readParameters(
  weights: Weights,
  parameters: readonly ParameterSpec[],
): Promise<Map<string, Tensor>> {
  const result = new Map<string, Tensor>();
  for (const { name, shape } of parameters) {
    const tensor = isSource(weights)
      ? weights.tensors.has(name)
        ? await weights.read(name)
        : undefined
      : weights.get(name);
    const where = isSource(weights) ? weights.path : "weights";
    expectParameter(tensor, { name, shape, where });
    result.set(name, castTensor(tensor, "float32"));
  }
  return result;
}

/** @throws CadreError `mismatch` unless the tensor is there and has the parameter's shape. */
function expectParameter<Found extends { readonly shape: readonly number[] }>(
  found: Found | undefined,
  { name, shape, where }: { readonly name: string; readonly shape: readonly number[]; readonly where: string },
): asserts found is Found {
  if (found === undefined) {
    throw new CadreError("mismatch", `${where}: expected a tensor "${name}" [${shape.join(", ")}], found none`);
  }
  if (found.shape.join() !== shape.join()) {
    throw new CadreError(
      "mismatch",
      `${where}: expected "${name}" of shape [${shape.join(", ")}], got [${found.shape.join(", ")}]`,
    );
  }
}

/** Whether weights are in storage. */
export function isSource(weights: Weights): weights is TensorSource {
  return "read" in weights;
}

function lastSeparator(path: string): number {
  return Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\"));
}

import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import { allFinite } from "../tensors/all-finite.js";
import { castTensor } from "../tensors/convert.js";
import type { Tensor } from "../tensors/tensor.js";

/** An expert's tensors with its factor. */
export interface WeightedTensors {
  readonly id: string;
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly weight: number;
}

/** @throws CadreError `mismatch` unless all experts have tensors of the same names. */
export function expectSameNames(experts: readonly WeightedTensors[]): void {
  const first = at(experts, 0);
  for (const { id, tensors } of experts) {
    const lacking = [...first.tensors.keys()].find((name) => !tensors.has(name));
    const foreign = [...tensors.keys()].find((name) => !first.tensors.has(name));
    if (lacking !== undefined || foreign !== undefined) {
      const [has, hasNot] = lacking === undefined ? [id, first.id] : [first.id, id];
      throw new CadreError(
        "mismatch",
        `merge: expected the same tensors of every expert, got "${lacking ?? foreign}" of "${has}" and none of "${hasNot}"`,
        { details: { experts: [first.id, id], tensor: lacking ?? foreign } },
      );
    }
  }
}

/**
 * `originFactor · origin + Σ weight · tensor` of the tensors of one name.
 * @throws CadreError `mismatch` where shapes differ, `not-found` where an expert lacks the tensor, `non-finite`.
 */
export function combineTensors(
  name: string,
  experts: readonly WeightedTensors[],
  { origin, originFactor }: { readonly origin: Tensor | number; readonly originFactor: number } = {
    origin: 0,
    originFactor: 0,
  },
): Tensor<"float32"> {
  const parts = experts.map((expert) => ({ weight: expert.weight, ...finiteTensor(expert, name) }));
  const { shape } = at(parts, 0);
  const from = typeof origin === "number" ? undefined : castTensor(origin, "float64");
  expectShape(name, { shape, first: at(experts, 0).id }, [
    ...parts.map((part, index) => ({ id: at(experts, index).id, shape: part.shape })),
    ...(from === undefined ? [] : [{ id: "the base", shape: from.shape }]),
  ]);
  const sum = Float64Array.from(at(parts, 0).data, (_, index) =>
    originFactor === 0 ? 0 : originFactor * (from === undefined ? Number(origin) : at(from.data, index)),
  );
  for (const { weight, data } of parts) {
    data.forEach((value, index) => {
      sum[index] = at(sum, index) + weight * value;
    });
  }
  return { dtype: "float32", shape, data: Float32Array.from(sum) };
}

/** A tensor of an expert. @throws CadreError `mismatch` where it is absent, `non-finite`. */
export function finiteTensor({ id, tensors }: WeightedTensors, name: string): Tensor<"float64"> {
  const found = tensors.get(name);
  if (found === undefined) {
    throw new CadreError("mismatch", `merge: expected a tensor "${name}" of "${id}", got none`);
  }
  const tensor = castTensor(found, "float64");
  if (!allFinite(tensor)) {
    throw new CadreError("non-finite", `merge: expected finite numbers of "${id}", got NaN or infinity in "${name}"`);
  }
  return tensor;
}

function expectShape(
  name: string,
  { shape, first }: { readonly shape: readonly number[]; readonly first: string },
  others: readonly { readonly id: string; readonly shape: readonly number[] }[],
): void {
  const other = others.find((one) => one.shape.join() !== shape.join());
  if (other !== undefined) {
    throw new CadreError(
      "mismatch",
      `merge: "${name}": expected one shape, got [${shape.join(", ")}] of "${first}" and [${other.shape.join(", ")}] of "${other.id}"`,
      { details: { experts: [first, other.id], tensor: name } },
    );
  }
}

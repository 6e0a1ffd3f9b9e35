import { CadreError } from "../core/errors.js";
import type { DeltaConfig } from "../experts/delta-config.js";
import { ia3ConfigSchema } from "../experts/ia3.js";
import type { Tensor } from "../tensors/tensor.js";
import { combineTensors, expectSameNames } from "./combine-tensors.js";
import { mergeLora } from "./merge-lora.js";
import type { MergedDelta } from "./merged-delta.js";

/** An expert that goes into a merge. */
export interface MergedExpert {
  readonly id: string;
  /** Undefined where all weights were trained. */
  readonly delta: DeltaConfig | undefined;
  /** Under the names that its kind gives them, in any float dtype. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Its factor λ, of either sign; default 1 / number of experts: the uniform mean of ELM. */
  readonly weight?: number;
}

/** Options of `mergeExperts`. */
export interface MergeOptions {
  /**
   * How low-rank products are added, for LoRA alone. `cat` (default): exactly, `Σ λ · scale · B A`, by laying the factors side by side, so the ranks
   * add up and may differ. `linear`: as PEFT's `add_weighted_adapter` of that name, `A = Σ √(λ · scale) A`, `B = Σ √(λ · scale) B`, for equal ranks: the
   * rank stays, but the product also holds every A of one expert with every B of another.
   */
  readonly lora?: "cat" | "linear";
  /** The base's weights: needed for fully trained experts whose weights do not add up to 1. */
  readonly base?: ReadonlyMap<string, Tensor>;
}

/** Weights that add up to 1 up to the rounding of a few divisions. */
const TOLERANCE = 1e-9;

/**
 * Merges experts of one base and one kind: task vectors `θ = θ₀ + Σ λ (θₑ - θ₀)` (Ilharco et al. 2023), where θ₀ is the base's weight, and 1 for the
 * vectors of (IA)³. Where the weights add up to 1, as in ELM's uniform mean over k experts (Jang et al. 2023, λ = 1/k), that is the weighted mean
 * of every tensor, and the only way for bottleneck experts, whose projections have no value in the base. LoRA experts are merged as products,
 * see `MergeOptions.lora`. Sums are computed in double precision.
 *
 * The outputs of experts can be mixed without merging them, by rows that name several: `mixExperts`.
 * @throws CadreError `invalid-argument` without experts or for a weight that is no number; `mismatch` naming the experts that differ in kind,
 * configuration, names or shapes of tensors; `unsupported` for bottleneck experts whose weights do not add up to 1; `non-finite` naming the
 * expert and the tensor.
 */
export function mergeExperts(experts: readonly MergedExpert[], { lora = "cat", base }: MergeOptions = {}): MergedDelta {
  const parts = experts.map(({ id, delta, tensors, weight = 1 / experts.length }) => {
    if (!Number.isFinite(weight)) {
      throw new CadreError("invalid-argument", `merge: expected a finite weight of "${id}", got ${weight}`);
    }
    return { id, delta, tensors, weight };
  });
  const [first] = parts;
  if (first === undefined) {
    throw new CadreError("invalid-argument", "merge: expected at least one expert, got none");
  }
  const { delta } = first;
  const kind = delta?.kind ?? "full";
  for (const { id, delta: own } of parts) {
    if ((own?.kind ?? "full") !== kind) {
      throw new CadreError(
        "mismatch",
        `merge: expected experts of one kind, got "${first.id}" (${kind}) and "${id}" (${own?.kind ?? "full"})`,
        { details: { experts: [first.id, id] } },
      );
    }
  }
  if (delta?.kind === "lora") {
    return mergeLora(
      parts.flatMap((part) => (part.delta?.kind === "lora" ? [{ ...part, config: part.delta.config }] : [])),
      lora,
    );
  }
  expectSameNames(parts);
  for (const part of parts) {
    if (configText(part.delta) !== configText(delta)) {
      throw new CadreError(
        "mismatch",
        `merge: expected ${kind} experts of one configuration, got ${configText(delta)} of "${first.id}" and ${configText(part.delta)} of "${part.id}"`,
        { details: { experts: [first.id, part.id] } },
      );
    }
  }
  const total = parts.reduce((sum, { weight }) => sum + weight, 0);
  const isMean = Math.abs(total - 1) <= TOLERANCE;
  if (kind === "bottleneck" && !isMean) {
    throw new CadreError(
      "unsupported",
      `merge: expected weights of bottleneck experts to add up to 1, got ${total}; mix their outputs by rows with weighted experts instead`,
    );
  }
  const originOf = (name: string): Tensor | number => {
    if (isMean) {
      return 0;
    }
    return kind === "ia3" ? 1 : baseTensor(base, { name, total });
  };
  return {
    delta,
    tensors: new Map(
      [...first.tensors.keys()].map((name) => {
        const origin = originOf(name);
        return [name, combineTensors(name, parts, { origin, originFactor: isMean ? 0 : 1 - total })];
      }),
    ),
  };
}

function baseTensor(
  base: ReadonlyMap<string, Tensor> | undefined,
  { name, total }: { readonly name: string; readonly total: number },
): Tensor {
  const tensor = base?.get(name);
  if (tensor === undefined) {
    throw new CadreError(
      "invalid-argument",
      `merge: expected the base's "${name}", as the weights of fully trained experts add up to ${total} instead of 1, got none; give base`,
    );
  }
  return tensor;
}

/** Equal for configurations that differ in the order of their targets only. */
function configText(delta: DeltaConfig | undefined): string {
  if (delta?.kind === "ia3") {
    const { targets, feedForwardTargets } = ia3ConfigSchema.parse(delta.config);
    return JSON.stringify({ targets: targets.toSorted(), feedForwardTargets: feedForwardTargets.toSorted() });
  }
  return JSON.stringify(delta?.config ?? {});
}

import { CadreError } from "../core/errors.js";
import { groupBy } from "../core/group-by.js";
import { sha256 } from "../core/hash.js";
import type { DeltaConfig } from "../experts/delta-config.js";
import { mergeExperts } from "../merging/merge-experts.js";
import type { Tensor } from "../tensors/tensor.js";
import type { SystemName } from "./results-schema.js";
import type { TrainedSystem } from "./trained-system.js";

/** Who answers the rows of tasks. */
export interface Contestant {
  readonly system: SystemName;
  readonly sha256: string;
  /** Undefined where all weights are its own, and for the base. */
  readonly delta: DeltaConfig | undefined;
  /** Of the delta, or all weights; none of the base. Made at the call. */
  readonly tensors: () => ReadonlyMap<string, Tensor>;
  /** The only task that it answers; default: all. */
  readonly task?: string;
}

/** The base as it is. */
export function baseContestant(baseSha256: string): Contestant {
  return { system: "base", sha256: baseSha256, delta: undefined, tensors: () => new Map() };
}

/** What was trained, as a system of the comparison. */
export function trainedContestant(system: SystemName, trained: TrainedSystem): Contestant {
  return { system, sha256: trained.sha256, delta: trained.delta, tensors: () => trained.tensors };
}

/** The experts that an unseen task's vote ranks first. */
export interface TopExperts {
  readonly task: string;
  readonly experts: readonly TrainedSystem[];
}

/** For every unseen task its merged experts. */
export interface MergedContestants {
  /** Of the system `mergedTop3`: of who is merged for which task. */
  readonly sha256: string;
  readonly contestants: readonly Contestant[];
}

/**
 * Contestants that are merged of experts, with equal weights, when their tensors are asked for.
 * @returns a reason in words where some cannot be merged: the comparison needs all or none
 */
export async function mergedContestants(
  tops: readonly TopExperts[],
): Promise<MergedContestants | { readonly reason: string }> {
  const content = tops.map(({ task, experts }) => [task, experts.map((expert) => expert.sha256)]);
  const hash = await sha256(new TextEncoder().encode(JSON.stringify(content)));
  const contestants: Contestant[] = [];
  for (const { task, experts } of tops) {
    try {
      // Without tensors: tells whether kinds and configurations fit, and what comes out.
      const { delta } = mergeExperts(experts.map((expert) => ({ ...expert, tensors: new Map() })));
      contestants.push({
        system: "mergedTop3",
        sha256: hash,
        delta,
        tensors: () => mergeExperts(experts).tensors,
        task,
      });
    } catch (error) {
      if (CadreError.isInstance(error)) {
        return { reason: `task "${task}": ${error.message}` };
      }
      throw error;
    }
  }
  return { sha256: hash, contestants };
}

/** Puts contestants together that can share programs: those of one configuration of a delta; each other one is alone. */
export function groupContestants(contestants: readonly Contestant[]): Contestant[][] {
  return [...groupBy(contestants, (one) => (one.delta === undefined ? one : JSON.stringify(one.delta))).values()];
}

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
  /** Of the delta, or all weights; none of the base. Read or made at the call, the same map again for as long as somebody holds it. */
  readonly tensors: () => Promise<ReadonlyMap<string, Tensor>>;
  /** The only task that it answers; default: all. */
  readonly task?: string;
}

const NO_TENSORS: ReadonlyMap<string, Tensor> = new Map();

/** The base as it is. */
export function baseContestant(baseSha256: string): Contestant {
  return { system: "base", sha256: baseSha256, delta: undefined, tensors: async () => NO_TENSORS };
}

/** What was trained, as a system of the comparison. */
export function trainedContestant(system: SystemName, trained: TrainedSystem): Contestant {
  return { system, sha256: trained.sha256, delta: trained.delta, tensors: remembered(trained.readTensors) };
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
      const { delta } = mergeExperts(experts.map((expert) => ({ ...expert, tensors: NO_TENSORS })));
      contestants.push({
        system: "mergedTop3",
        sha256: hash,
        delta,
        tensors: remembered(async () => {
          const read = await Promise.all(
            experts.map(async ({ readTensors, ...expert }) => ({ ...expert, tensors: await readTensors() })),
          );
          return mergeExperts(read).tensors;
        }),
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

/** Those who compute with tensors know them by their map, so the same is given as long as one of them has it. */
function remembered(read: () => Promise<ReadonlyMap<string, Tensor>>): () => Promise<ReadonlyMap<string, Tensor>> {
  let last: WeakRef<ReadonlyMap<string, Tensor>> | undefined;
  return async () => {
    const held = last?.deref();
    if (held !== undefined) return held;
    const tensors = await read();
    last = new WeakRef(tensors);
    return tensors;
  };
}

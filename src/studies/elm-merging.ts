import { sha256 } from "../core/hash.js";
import type { EvaluationResults } from "../evaluation/results-schema.js";
import type { EvaluationTask } from "../evaluation/results-task.js";
import { voteByTemplate } from "../evaluation/route-tasks.js";
import type { TrainedSystem } from "../evaluation/trained-system.js";
import { mergeExperts } from "../merging/merge-experts.js";
import type { Router } from "../routing/router.js";
import type { Tensor } from "../tensors/tensor.js";
import type { ElmContext } from "./elm-context.js";
import { evaluateElm } from "./elm-evaluate.js";

/** A merge that is tried, as a system of the study. */
export async function mergedSystem(
  id: string,
  experts: readonly TrainedSystem[],
  options: { readonly lambda?: number; readonly base: ReadonlyMap<string, Tensor> },
): Promise<TrainedSystem> {
  const { lambda = 1 / experts.length, base } = options;
  const content = JSON.stringify([lambda, experts.map((expert) => expert.sha256)]);
  return {
    id,
    task: id,
    delta: undefined,
    readTensors: async () => {
      const read = await Promise.all(
        experts.map(async ({ readTensors, ...expert }) => ({
          ...expert,
          tensors: await readTensors(),
          weight: lambda,
        })),
      );
      return mergeExperts(read, { base }).tensors;
    },
    sha256: await sha256(new TextEncoder().encode(content)),
    steps: experts.reduce((sum, { steps }) => sum + steps, 0),
    trainingFlops: experts.reduce((sum, { trainingFlops }) => sum + trainingFlops, 0),
  };
}

/** The base's weights in memory: what task vectors start from. */
export async function baseTensors({ base }: Pick<ElmContext, "base">): Promise<ReadonlyMap<string, Tensor>> {
  const tensors = new Map<string, Tensor>();
  for (const { name } of base.model.parameters) tensors.set(name, await base.weights.read(name));
  return tensors;
}

/** Names of the merges of all experts of data sets: uniform, and task vectors with a factor. */
export function mergeNames({ settings }: Pick<ElmContext, "settings">): readonly string[] {
  return [
    "uniform",
    ...settings.lambdas.map((lambda) => `lambda-${lambda}`),
    ...settings.tops.map((top) => `top-${top}`),
  ];
}

/**
 * Merges of the experts of data sets on unseen tasks: the uniform mean of all, their task vectors with each λ, and for each task the uniform mean of the k
 * experts with most votes.
 */
export async function evaluateMerges(
  context: ElmContext,
  options: {
    readonly seed: number;
    readonly tasks: readonly EvaluationTask[];
    readonly experts: readonly TrainedSystem[];
    readonly router: Router;
  },
): Promise<EvaluationResults[]> {
  const { seed, tasks, experts, router } = options;
  const { lambdas, tops } = context.settings;
  const base = await baseTensors(context);
  const whole = [
    await mergedSystem("uniform", experts, { base }),
    ...(await Promise.all(lambdas.map((lambda) => mergedSystem(`lambda-${lambda}`, experts, { lambda, base })))),
  ];
  const results: EvaluationResults[] = [];
  for (const task of tasks) {
    const { ranking } = await voteByTemplate(task, { router });
    const own = await Promise.all(
      tops.map((top) => {
        const picked = ranking.slice(0, top).flatMap(({ id }) => experts.filter((expert) => expert.id === id));
        return mergedSystem(`top-${top}`, picked, { base });
      }),
    );
    results.push(
      await evaluateElm(context, { name: `merges on ${task.name}`, seed, tasks: [task], experts: [...whole, ...own] }),
    );
  }
  return results;
}

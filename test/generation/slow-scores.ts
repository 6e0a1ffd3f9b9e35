import { at } from "../../src/core/at.js";
import { layOutRows } from "../../src/experts/rows.js";
import type { AnsweredRow } from "../../src/generation/generation.js";
import type { Delta } from "../../src/models/delta.js";
import type { Model } from "../../src/models/model.js";
import type { Device } from "../../src/runtime/device.js";
import { compileEvaluation } from "../parity/evaluate.js";
import type { TensorMap } from "../parity/fixture.js";

/** What a model says of an answer without any cache: log-probabilities of its tokens, and of all tokens at every step. */
export async function scoreSlowly(
  { input, experts = [], target }: AnsweredRow & { readonly target: Int32Array },
  options: {
    readonly device: Device;
    readonly model: Model;
    readonly tensors: TensorMap;
    readonly delta?: Delta;
  },
): Promise<{ readonly logProbabilities: number[]; readonly distributions: number[][] }> {
  const { device, model, tensors, delta } = options;
  const shape = { rows: 1, inputLength: input.length, targetLength: target.length, sequences: 1 };
  await using program = await compileEvaluation({ device, model, shape, ...(delta === undefined ? {} : { delta }) });
  const batch = layOutRows([[{ example: { input, targets: [target], correct: 0 }, experts }]], shape, model.padId);
  const { logits } = await program.run(batch, tensors);
  const size = model.vocabularySize;
  const distributions = Array.from(target, (_, step) => {
    const own = [...logits.subarray(step * size, (step + 1) * size)];
    const best = Math.max(...own);
    const logSum = best + Math.log(own.reduce((sum, logit) => sum + Math.exp(logit - best), 0));
    return own.map((logit) => logit - logSum);
  });
  return { distributions, logProbabilities: Array.from(target, (id, step) => at(at(distributions, step), id)) };
}

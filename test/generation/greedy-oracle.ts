import { at } from "../../src/core/at.js";
import { layOutRows } from "../../src/experts/rows.js";
import type { GenerationRow } from "../../src/generation/generation.js";
import type { Delta } from "../../src/models/delta.js";
import type { Model } from "../../src/models/model.js";
import type { Device } from "../../src/runtime/device.js";
import { compileEvaluation } from "../parity/evaluate.js";
import type { TensorMap } from "../parity/fixture.js";

/** What an oracle answers. */
export interface OracleAnswer {
  readonly ids: number[];
  readonly logProbabilities: number[];
}

/**
 * Greedy decoding the slow way: at every step the whole of the answer so far goes through the forward pass that training and scoring use,
 * each row in a batch of its own. There is no cache that could be wrong.
 */
export async function answerSlowly(
  rows: readonly GenerationRow[],
  options: {
    readonly device: Device;
    readonly model: Model;
    readonly tensors: TensorMap;
    readonly delta?: Delta;
    readonly maxNewTokens: number;
  },
): Promise<OracleAnswer[]> {
  const { device, model, tensors, delta, maxNewTokens } = options;
  const inputLength = Math.max(...rows.map(({ input }) => input.length));
  const shape = { rows: 1, inputLength, targetLength: maxNewTokens, sequences: 1 };
  await using program = await compileEvaluation({ device, model, shape, ...(delta === undefined ? {} : { delta }) });
  const answers: OracleAnswer[] = [];
  for (const { input, experts = [] } of rows) {
    const ids: number[] = [];
    const logProbabilities: number[] = [];
    while (ids.length < maxNewTokens && ids.at(-1) !== model.endId) {
      // What lies behind the last token is not seen by what predicts the next one.
      const target = Int32Array.from({ length: maxNewTokens }, (_, position) => ids[position] ?? model.padId);
      const batch = layOutRows([[{ example: { input, targets: [target], correct: 0 }, experts }]], shape, model.padId);
      const { logits } = await program.run(batch, tensors);
      const next = logits.subarray(ids.length * model.vocabularySize, (ids.length + 1) * model.vocabularySize);
      const best = next.reduce((most, value, id) => (value > at(next, most) ? id : most), 0);
      const sum = next.reduce((total, value) => total + Math.exp(value - at(next, best)), 0);
      ids.push(best);
      logProbabilities.push(-Math.log(sum));
    }
    answers.push({ ids, logProbabilities });
  }
  return answers;
}

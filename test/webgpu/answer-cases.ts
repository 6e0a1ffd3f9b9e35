import { createRandom } from "../../src/core/random.js";
import { createChoiceScorer } from "../../src/evaluation/score-choices.js";
import { createDelta } from "../../src/experts/delta-config.js";
import { mixExperts } from "../../src/experts/mixed.js";
import type { Row } from "../../src/experts/rows.js";
import { createTokenGenerator } from "../../src/generation/token-generator.js";
import type { EncodedExample } from "../../src/mixtures/encoded-example.js";
import type { Delta } from "../../src/models/delta.js";
import { initialTensors } from "../../src/models/initialize.js";
import type { WeightedExpert } from "../../src/models/packed-batch.js";
import type { Tensor } from "../../src/tensors/tensor.js";
import { train } from "../../src/training/train.js";
import { configs, randomExpert, randomExperts } from "../experts/tiny-experts.js";
import { tinyModel, tinyOptions } from "../training/tiny-training.js";
import type { Case } from "./device-child.js";

const END = 1;
const model = tinyModel();
const weights = initialTensors(model.parameters, 7);
const points = model.hookPoints;
const mixed = mixExperts(randomExperts(points), points, { perRow: 2 });
/** Who answers: every expert, the base, and experts with weights. */
const lists: readonly (readonly WeightedExpert[])[] = [
  ...Object.keys(configs).map((id) => [{ id, weight: 1 }]),
  [],
  [
    { id: "lora-small", weight: 0.5 },
    { id: "lora-large", weight: 0.5 },
    { id: "bottleneck-large", weight: 0.25 },
  ],
];
const rows = lists.map((experts, index): Row => ({ example: exampleOf(index), experts }));

/** An input of 3 to 9 tokens with three choices of one to three. */
function exampleOf(index: number): EncodedExample {
  const random = createRandom(41, index);
  const draw = (length: number): Int32Array =>
    Int32Array.from({ length }, (_, position) =>
      position === length - 1 ? END : 2 + random.nextInteger(model.vocabularySize - 2),
    );
  return { input: draw(3 + random.nextInteger(7)), targets: [draw(2), draw(1), draw(3)], correct: 1 };
}

interface Adapted {
  readonly delta?: Delta;
  readonly deltaTensors?: ReadonlyMap<string, Tensor>;
}

function scored({ delta, deltaTensors }: Adapted = {}): Case {
  return async (device) => {
    await using scorer = createChoiceScorer({
      device,
      model,
      weights,
      perRow: 2,
      ...(delta === undefined ? {} : { delta }),
    });
    const asked = delta === mixed.delta ? rows : rows.map(({ example }) => example);
    const { scores } = await scorer.score(asked, deltaTensors === undefined ? {} : { deltaTensors });
    return { numbers: Object.fromEntries(scores.map((own, row) => [`scores of row ${row}`, [...own]])) };
  };
}

/** More tokens than one run makes, so that keys and values go from run to run. */
const MAX_NEW_TOKENS = 12;

function generated({ delta, deltaTensors }: Adapted = {}): Case {
  return async (device) => {
    await using generator = createTokenGenerator({ device, model, weights, ...(delta === undefined ? {} : { delta }) });
    const answers = await generator.generate(
      rows.map(({ example: { input }, experts }) => (delta === mixed.delta ? { input, experts } : { input })),
      { maxNewTokens: MAX_NEW_TOKENS, ...(deltaTensors === undefined ? {} : { deltaTensors }) },
    );
    return {
      tokens: answers.map(({ ids }) => [...ids]),
      numbers: Object.fromEntries(
        answers.map(({ logProbabilities }, row) => [`log-probabilities of row ${row}`, [...logProbabilities]]),
      ),
    };
  };
}

/** Scores of the parameters that a training holds on the device. */
const validated: Case = async (device) => {
  await using scorer = createChoiceScorer({ device, model });
  const numbers: Record<string, number[]> = {};
  await train({
    ...tinyOptions(device, { model, weights, steps: 2 }),
    validation: {
      everySteps: 1,
      score: async (state) => {
        const { scores } = await scorer.score(
          rows.map(({ example }) => example),
          { state },
        );
        const all = scores.flatMap((own) => [...own]);
        numbers[`scores ${Object.keys(numbers).length}`] = all;
        return all.reduce((sum, score) => sum + score, 0);
      },
    },
  });
  return { numbers };
};

const bottleneck = randomExpert("bottleneck-small", { kind: "bottleneck", config: { width: 2 } }, points);
const single: Adapted = { delta: createDelta(bottleneck.delta, points), deltaTensors: bottleneck.tensors };
const several: Adapted = { delta: mixed.delta, deltaTensors: mixed.tensors };

/** Scores of choices and greedy answers, of the base, of one expert, and of experts that share a batch. */
export const ANSWER_CASES: Readonly<Record<string, Case>> = {
  "base-scores": scored(),
  "expert-scores": scored(single),
  "mixed-scores": scored(several),
  "training-scores": validated,
  "base-answers": generated(),
  "expert-answers": generated(single),
  "mixed-answers": generated(several),
};

import { expect, test } from "vitest";
import { at } from "../../src/core/at.js";
import type { EncodedExample } from "../../src/mixtures/encoded-example.js";
import { layOutPacks } from "../../src/mixtures/pack.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import { evaluate } from "./evaluate.js";
import { expectGradients } from "./expect-case.js";
import { expectWithin, floatsOf, inputRows, integersOf, labelRows, readModel, readTensors } from "./fixture.js";

const TOLERANCE = 1e-5;
const device = await openDevice({ threads: 1 });
const { model, weights } = await readModel("v1_1");
const reference = await readTensors("v1_1/choices/case.safetensors");
const rowOf = integersOf(reference, "row");
const labels = labelRows(reference);
const correct = integersOf(reference, "correct");
const examples = inputRows(reference).map(
  (input, row): EncodedExample => ({
    input,
    targets: labels.filter((_, choice) => rowOf[choice] === row),
    correct: at(correct, row),
  }),
);
const [first, second, third] = [at(examples, 0), at(examples, 1), at(examples, 2)];

test.each([
  { name: "an example a pack", packs: [[first], [second], [third]] },
  { name: "all in one pack", packs: [examples] },
  { name: "two packs, the second one in another order", packs: [[second], [third, first]] },
  { name: "an empty pack among them", packs: [[third], [], [first, second]] },
])("scores and loss of choices are T-Few's: $name", async ({ packs }) => {
  const shape = { rows: packs.length, inputLength: 30, targetLength: 36, sequences: 10 };
  const batch = layOutPacks(packs, shape, model.padId);
  const evaluation = await evaluate({ device, model, batch, tensors: weights, differentiate: "choices" });

  const means = floatsOf(reference, "logprob_mean");
  const tokens = reference.get("token_logprobs")?.shape[1] ?? 0;
  packs.forEach((pack, row) => {
    const choices = pack.flatMap((example) =>
      [...rowOf.keys()].filter((choice) => rowOf[choice] === examples.indexOf(example)),
    );
    const scores = evaluation.scores.subarray(row * shape.sequences, (row + 1) * shape.sequences);
    expectWithin(
      "scores",
      scores.subarray(0, choices.length),
      choices.map((choice) => at(means, choice)),
      TOLERANCE,
    );
    expect([...scores.subarray(choices.length)].every((score) => score === 0)).toBe(true);
    const expected = choices.flatMap((choice) =>
      [...floatsOf(reference, "token_logprobs").subarray(choice * tokens)].slice(0, at(labels, choice).length),
    );
    const start = row * shape.targetLength;
    expectWithin(
      "token log-probabilities",
      evaluation.logProbabilities.subarray(start, start + expected.length),
      expected,
      TOLERANCE,
    );
  });
  expect(batch.choiceExamples).toBe(3);
  expectWithin("choices loss", [evaluation.choiceLoss], floatsOf(reference, "choices_loss"), TOLERANCE);
  // The token loss counts the correct choices only.
  expectWithin("correct loss", [evaluation.tokenLoss], floatsOf(reference, "correct_loss"), TOLERANCE);
  expectGradients({ reference, evaluation, trained: model.parameters.map(({ name }) => name) });
});

test("an example without choices adds nothing to the loss over choices", async () => {
  const plain: EncodedExample = { input: first.input, targets: [at(first.targets, 1)], correct: 0 };
  const shape = { rows: 1, inputLength: 44, targetLength: 40, sequences: 10 };
  const batch = layOutPacks([[...examples, plain]], shape, model.padId);
  expect(batch.choiceExamples).toBe(3);
  const evaluation = await evaluate({ device, model, batch, tensors: weights });
  expectWithin("choices loss", [evaluation.choiceLoss], floatsOf(reference, "choices_loss"), TOLERANCE);
});

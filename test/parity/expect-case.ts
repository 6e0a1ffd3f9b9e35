import { expect } from "vitest";
import { at } from "../../src/core/at.js";
import type { PackedBatch } from "../../src/models/packed-batch.js";
import type { Evaluation } from "./evaluate.js";
import { expectWithin, expectWithinRelative, floatsOf, type TensorMap } from "./fixture.js";

const LOGIT_TOLERANCE = 1e-4;
const LOSS_TOLERANCE = 1e-5;
const GRADIENT_TOLERANCE = 1e-4;

/** What `expectCase` compares. */
export interface CaseComparison {
  /** `case.safetensors`. */
  readonly reference: TensorMap;
  readonly evaluation: Evaluation;
  readonly batch: PackedBatch;
  readonly vocabularySize: number;
  /** Trained tensors: exactly those of which the fixture has gradients. */
  readonly trained: readonly string[];
  /** Put before their names in the fixture. */
  readonly prefix?: string;
}

/** Demands equality with what transformers computed: logits, log-probabilities, loss, gradients. */
export function expectCase({
  reference,
  evaluation,
  batch,
  vocabularySize,
  trained,
  prefix = "",
}: CaseComparison): void {
  // transformers' decoder also computes what follows on a row's end, from padding; there is nothing to compare.
  const positions = targetPositions(batch);
  expect(positions.length).toBeGreaterThan(0);
  expectWithin(
    "logits",
    pick(evaluation.logits, positions, vocabularySize),
    pick(floatsOf(reference, "logits"), positions, vocabularySize),
    LOGIT_TOLERANCE,
  );
  const counted = positions.filter((position) => batch.targetWeights[position] === 1);
  expectWithin(
    "token log-probabilities",
    pick(evaluation.logProbabilities, counted, 1),
    pick(floatsOf(reference, "token_logprobs"), counted, 1),
    LOGIT_TOLERANCE,
  );
  expectWithin("loss", [evaluation.tokenLoss], floatsOf(reference, "loss"), LOSS_TOLERANCE);
  expectGradients({ reference, evaluation, trained, prefix });
}

/** Demands the fixture's gradients, all of them. */
export function expectGradients(
  options: Pick<CaseComparison, "reference" | "evaluation" | "trained"> & { readonly prefix?: string },
): void {
  const { reference, evaluation, trained, prefix = "" } = options;
  const inFixture = [...reference.keys()].filter((name) => name.startsWith("grad."));
  expect(trained.map((name) => `grad.${prefix}${name}`).sort()).toEqual(inFixture.sort());
  for (const name of trained) {
    expectWithinRelative(
      `gradient of ${name}`,
      floatsOf(evaluation.gradients, name),
      floatsOf(reference, `grad.${prefix}${name}`),
      GRADIENT_TOLERANCE,
    );
  }
}

/** Positions that hold a target token. */
export function targetPositions({ targetSequences }: PackedBatch): number[] {
  return Array.from(targetSequences.keys()).filter((position) => targetSequences[position] !== 0);
}

/** Some positions of `[positions, columns]`. */
export function pick(data: ArrayLike<number>, positions: readonly number[], columns: number): number[] {
  return positions.flatMap((position) =>
    Array.from({ length: columns }, (_, column) => at(data, position * columns + column)),
  );
}

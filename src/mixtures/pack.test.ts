import fc from "fast-check";
import { expect, test } from "vitest";
import { at } from "../core/at.js";
import type { BatchShape, PackedBatch } from "../models/packed-batch.js";
import { type EncodedExample, IGNORED, truncateExample } from "./encoded-example.js";
import { type ExampleStream, generatedStream } from "./example-stream.js";
import { arbitraryExample, exampleOf } from "./examples.test.helpers.js";
import { createPacker, layOutPacks } from "./pack.js";

const PAD = 0;
const shapes = fc.record({
  rows: fc.integer({ min: 1, max: 4 }),
  inputLength: fc.integer({ min: 8, max: 40 }),
  targetLength: fc.integer({ min: 8, max: 40 }),
  sequences: fc.integer({ min: 5, max: 12 }),
});
const manyExamples = fc.array(arbitraryExample({ input: 30, target: 10 }), { minLength: 1, maxLength: 40 });

/** The list over and over. */
function repeated(examples: readonly EncodedExample[]): ExampleStream {
  return generatedStream((index) => at(examples, index % examples.length));
}

/** Reads a batch back: the examples of each pack by their numbers in the arrays. */
function unpack(batch: PackedBatch): EncodedExample[][] {
  const { rows, inputLength, targetLength, sequences } = batch.shape;
  return Array.from({ length: rows }, (_, row) => {
    const part = <T extends Int32Array | Float32Array>(data: T, length: number) => [
      ...data.subarray(row * length, (row + 1) * length),
    ];
    const inputSegments = part(batch.inputSegments, inputLength);
    const inputIds = part(batch.inputIds, inputLength);
    const targetIds = part(batch.targetIds, targetLength);
    const targetSequences = part(batch.targetSequences, targetLength);
    const targetSegments = part(batch.targetSegments, targetLength);
    const scoreWeights = part(batch.scoreWeights, targetLength);
    const sequenceSegments = part(batch.sequenceSegments, sequences);
    const sequenceCorrect = part(batch.sequenceCorrect, sequences);
    const targetWeights = part(batch.targetWeights, targetLength);
    const count = Math.max(...inputSegments);
    return Array.from({ length: count }, (_, index) => {
      const segment = index + 1;
      const own = [...sequenceSegments.keys()].filter((sequence) => sequenceSegments[sequence] === segment);
      const positionsOf = (sequence: number) =>
        [...targetSequences.keys()].filter((position) => targetSequences[position] === sequence + 1);
      for (const sequence of own) {
        expect(positionsOf(sequence).every((position) => targetSegments[position] === segment)).toBe(true);
      }
      const targets = own.map((sequence) =>
        Int32Array.from(positionsOf(sequence), (position) =>
          at(scoreWeights, position) === 0 ? IGNORED : at(targetIds, position),
        ),
      );
      const weighted = own.findIndex((sequence) =>
        positionsOf(sequence).some((position) => targetWeights[position] === 1),
      );
      const marked = own.findIndex((sequence) => sequenceCorrect[sequence] === 1);
      expect(marked).toBe(own.length > 1 ? weighted : -1);
      return {
        input: Int32Array.from(inputIds.filter((_, position) => inputSegments[position] === segment)),
        targets,
        correct: weighted,
      };
    });
  });
}

function countTokens(batch: PackedBatch): { inputTokens: number; targetTokens: number; choiceExamples: number } {
  return {
    inputTokens: batch.inputSegments.filter((segment) => segment !== 0).length,
    targetTokens: batch.targetWeights.filter((weight) => weight !== 0).length,
    choiceExamples: batch.sequenceCorrect.filter((correct) => correct !== 0).length,
  };
}

test("every example of the stream arrives once, whole but for its truncation, and no pack overflows", () => {
  fc.assert(
    fc.property(manyExamples, shapes, fc.boolean(), (examples, shape, pack) => {
      const packer = createPacker({ stream: repeated(examples), shape, padId: PAD, pack });
      const read: EncodedExample[] = [];
      for (let count = 0; count < 5; count++) {
        const batch = packer.next();
        expect(countTokens(batch)).toEqual({
          inputTokens: batch.inputTokens,
          targetTokens: batch.targetTokens,
          choiceExamples: batch.choiceExamples,
        });
        const packs = unpack(batch);
        // First fit changes the order across packs; within a batch, examples are told apart by their tokens.
        expect(packs.every((examplesOfPack) => (pack ? examplesOfPack.length > 0 : examplesOfPack.length === 1))).toBe(
          true,
        );
        read.push(...packs.flat());
        // Padding is padding in every array.
        batch.inputSegments.forEach((segment, index) => {
          expect(segment !== 0 || batch.inputIds[index] === PAD).toBe(true);
        });
        batch.targetSequences.forEach((sequence, index) => {
          expect(
            sequence !== 0 ||
              [
                batch.targetIds[index],
                batch.targetSegments[index],
                batch.targetWeights[index],
                batch.scoreWeights[index],
              ].every((value) => value === 0),
          ).toBe(true);
        });
      }
      const { examples: counted, inputTokensCut, targetTokensCut, truncatedExamples } = packer.counts();
      expect(read).toHaveLength(counted);
      const source = repeated(examples);
      const truncations = Array.from({ length: counted }, () => truncateExample(source.next(), shape));
      const key = ({ input, targets, correct }: EncodedExample) =>
        `${input.join()}|${targets.map((target) => target.join()).join(";")}|${correct}`;
      expect(read.map(key).sort()).toEqual(truncations.map(({ example }) => key(example)).sort());
      expect(inputTokensCut).toBe(truncations.reduce((sum, one) => sum + one.inputTokensCut, 0));
      expect(targetTokensCut).toBe(truncations.reduce((sum, one) => sum + one.targetTokensCut, 0));
      expect(truncatedExamples).toBe(truncations.filter((one) => one.inputTokensCut + one.targetTokensCut > 0).length);
    }),
    { numRuns: 60 },
  );
});

test("a packer that starts at another's position goes on as that one does", () => {
  fc.assert(
    fc.property(manyExamples, shapes, fc.nat(6), (examples, shape, batches) => {
      const first = createPacker({ stream: repeated(examples), shape, padId: PAD });
      for (let count = 0; count < batches; count++) {
        first.next();
      }
      const position = JSON.parse(JSON.stringify(first.position()));
      const stream = repeated(examples);
      stream.seek(position);
      const second = createPacker({ stream, shape, padId: PAD });
      for (let count = 0; count < 4; count++) {
        expect(second.position()).toEqual(first.position());
        expect(second.next()).toEqual(first.next());
      }
    }),
    { numRuns: 60 },
  );
});

test("a pack lies as documented: segments, sequences, weights", () => {
  const choices: EncodedExample = {
    input: Int32Array.of(11, 12, 1),
    targets: [Int32Array.of(20, 1), Int32Array.of(21, 22, 1)],
    correct: 1,
  };
  const plain: EncodedExample = {
    input: Int32Array.of(13, 1),
    targets: [Int32Array.of(23, IGNORED, 24, 1)],
    correct: 0,
  };
  const shape: BatchShape = { rows: 1, inputLength: 6, targetLength: 10, sequences: 4 };
  const batch = layOutPacks([[choices, plain]], shape, PAD);
  const third = Math.fround(1 / 3);
  expect(batch).toEqual({
    shape,
    inputIds: Int32Array.of(11, 12, 1, 13, 1, 0),
    inputSegments: Int32Array.of(1, 1, 1, 2, 2, 0),
    targetIds: Int32Array.of(20, 1, 21, 22, 1, 23, 0, 24, 1, 0),
    targetSegments: Int32Array.of(1, 1, 1, 1, 1, 2, 2, 2, 2, 0),
    targetSequences: Int32Array.of(1, 1, 2, 2, 2, 3, 3, 3, 3, 0),
    targetWeights: Float32Array.of(0, 0, 1, 1, 1, 1, 0, 1, 1, 0),
    scoreWeights: Float32Array.of(0.5, 0.5, third, third, third, third, 0, third, third, 0),
    sequenceSegments: Int32Array.of(1, 1, 2, 0),
    sequenceCorrect: Float32Array.of(0, 1, 0, 0),
    inputTokens: 5,
    targetTokens: 6,
    choiceExamples: 1,
  });
});

test("more choices than a pack has sequences are refused", () => {
  const stream = repeated([exampleOf(1, { input: 2, targets: [1, 1, 1] })]);
  const packer = createPacker({
    stream,
    shape: { rows: 2, inputLength: 8, targetLength: 8, sequences: 2 },
    padId: PAD,
  });
  const call = () => packer.next();
  expect(call).toThrow("pack: expected at most 2 choices, got 3; raise the batch's sequences");
  expect(call).toThrow(expect.objectContaining({ code: "invalid-argument" }));
});

test.each([
  {
    what: "inputs",
    packs: [
      [
        { input: 5, targets: [2] },
        { input: 4, targets: [2] },
      ],
    ],
    message: "pack 0: expected at most 8 input tokens, got 9",
  },
  {
    what: "targets",
    packs: [[], [{ input: 5, targets: [5, 4] }]],
    message: "pack 1: expected at most 8 target tokens, got 9",
  },
  {
    what: "choices",
    packs: [[{ input: 5, targets: [1, 1, 1] }]],
    message: "pack 0: expected at most 2 sequences, got 3",
  },
  { what: "packs", packs: [[], [], []], message: "expected at most 2 packs, got 3" },
])("$what that would run on into the next pack are refused", ({ packs, message }) => {
  const shape = { rows: 2, inputLength: 8, targetLength: 8, sequences: 2 };
  const examples = packs.map((pack) => pack.map((lengths) => exampleOf(1, lengths)));
  expect(() => layOutPacks(examples, shape, PAD)).toThrow(message);
});

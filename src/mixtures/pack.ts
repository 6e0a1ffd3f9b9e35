import { CadreError } from "../core/errors.js";
import type { BatchShape, PackedBatch } from "../models/packed-batch.js";
import { type EncodedExample, IGNORED, type Truncation, truncateExample } from "./encoded-example.js";
import type { ExampleStream, StreamPosition } from "./example-stream.js";

/** Options of `createPacker`. */
export interface PackerOptions {
  readonly stream: ExampleStream;
  readonly shape: BatchShape;
  /** Put several examples into a pack where they fit; default true. Otherwise every example has a pack of its own. */
  readonly pack?: boolean;
  /** Id of padding. */
  readonly padId: number;
}

/** What the packer had to cut so far. */
export interface PackerCounts {
  readonly examples: number;
  readonly inputTokensCut: number;
  readonly targetTokensCut: number;
  /** Examples of which something was cut. */
  readonly truncatedExamples: number;
}

/** Fills batches of one shape from a stream. */
export interface Packer {
  next(): PackedBatch;
  /** Where the first example of the next batch lies in the stream. */
  position(): StreamPosition;
  counts(): PackerCounts;
}

/** A pack under construction. */
interface OpenPack {
  readonly examples: EncodedExample[];
  inputTokens: number;
  targetTokens: number;
  sequences: number;
}

/**
 * First fit in stream order: an example goes into the first pack of the batch with room for it; the first one that fits nowhere closes the
 * batch and opens the next. So a batch depends on the stream's position alone.
 */
export function createPacker({ stream, shape, pack = true, padId }: PackerOptions): Packer {
  let waiting: { readonly truncation: Truncation; readonly position: StreamPosition } | undefined;
  const counts = { examples: 0, inputTokensCut: 0, targetTokensCut: 0, truncatedExamples: 0 };
  const take = (): { readonly truncation: Truncation; readonly position: StreamPosition } => {
    if (waiting !== undefined) {
      const taken = waiting;
      waiting = undefined;
      return taken;
    }
    const position = stream.position();
    return { truncation: truncateExample(stream.next(), shape), position };
  };
  return {
    next() {
      const packs = Array.from(
        { length: shape.rows },
        (): OpenPack => ({ examples: [], inputTokens: 0, targetTokens: 0, sequences: 0 }),
      );
      for (;;) {
        const taken = take();
        const { example, inputTokensCut, targetTokensCut } = taken.truncation;
        const room = packs.find((candidate) => fits(example, candidate, shape, pack));
        if (room === undefined) {
          waiting = taken;
          return layOut(packs, shape, padId);
        }
        room.examples.push(example);
        room.inputTokens += example.input.length;
        room.targetTokens += tokensOf(example);
        room.sequences += example.targets.length;
        counts.examples++;
        counts.inputTokensCut += inputTokensCut;
        counts.targetTokensCut += targetTokensCut;
        counts.truncatedExamples += inputTokensCut + targetTokensCut > 0 ? 1 : 0;
      }
    },
    position: () => waiting?.position ?? stream.position(),
    counts: () => ({ ...counts }),
  };
}

function tokensOf(example: EncodedExample): number {
  return example.targets.reduce((sum, target) => sum + target.length, 0);
}

function fits(example: EncodedExample, pack: OpenPack, shape: BatchShape, shared: boolean): boolean {
  if (pack.examples.length === 0) {
    if (example.targets.length > shape.sequences) {
      throw new CadreError(
        "invalid-argument",
        `pack: expected at most ${shape.sequences} choices, got ${example.targets.length}; raise the batch's sequences`,
      );
    }
    return true;
  }
  return (
    shared &&
    pack.inputTokens + example.input.length <= shape.inputLength &&
    pack.targetTokens + tokensOf(example) <= shape.targetLength &&
    pack.sequences + example.targets.length <= shape.sequences
  );
}

/**
 * Lays examples out in packs, `packs[row]` in row `row`; what lies behind them is padding.
 * @throws CadreError `invalid-argument` where there are more packs than rows or a pack has no room for its examples.
 */
export function layOutPacks(
  packs: readonly (readonly EncodedExample[])[],
  shape: BatchShape,
  padId: number,
): PackedBatch {
  const { rows, inputLength, targetLength, sequences } = shape;
  const inputIds = new Int32Array(rows * inputLength).fill(padId);
  const inputSegments = new Int32Array(rows * inputLength);
  const targetIds = new Int32Array(rows * targetLength).fill(padId);
  const targetSegments = new Int32Array(rows * targetLength);
  const targetSequences = new Int32Array(rows * targetLength);
  const targetWeights = new Float32Array(rows * targetLength);
  const scoreWeights = new Float32Array(rows * targetLength);
  const sequenceSegments = new Int32Array(rows * sequences);
  const sequenceCorrect = new Float32Array(rows * sequences);
  let inputTokens = 0;
  let targetTokens = 0;
  let choiceExamples = 0;
  if (packs.length > rows) {
    throw new CadreError("invalid-argument", `layOutPacks: expected at most ${rows} packs, got ${packs.length}`);
  }
  packs.forEach((examples, row) => {
    expectRoom(examples, row, shape);
    let inputAt = row * inputLength;
    let targetAt = row * targetLength;
    let sequence = 0;
    examples.forEach((example, exampleIndex) => {
      const segment = exampleIndex + 1;
      inputIds.set(example.input, inputAt);
      inputSegments.fill(segment, inputAt, inputAt + example.input.length);
      inputAt += example.input.length;
      inputTokens += example.input.length;
      const hasChoices = example.targets.length > 1;
      choiceExamples += hasChoices ? 1 : 0;
      example.targets.forEach((target, choice) => {
        const counted = target.reduce((sum, id) => sum + (id === IGNORED ? 0 : 1), 0);
        sequenceSegments[row * sequences + sequence] = segment;
        sequenceCorrect[row * sequences + sequence] = hasChoices && choice === example.correct ? 1 : 0;
        sequence++;
        target.forEach((id, offset) => {
          const at = targetAt + offset;
          targetSegments[at] = segment;
          targetSequences[at] = sequence;
          if (id !== IGNORED) {
            targetIds[at] = id;
            targetWeights[at] = choice === example.correct ? 1 : 0;
            scoreWeights[at] = 1 / counted;
            targetTokens += choice === example.correct ? 1 : 0;
          }
        });
        targetAt += target.length;
      });
    });
  });
  return {
    shape,
    inputIds,
    inputSegments,
    targetIds,
    targetSegments,
    targetSequences,
    targetWeights,
    scoreWeights,
    sequenceSegments,
    sequenceCorrect,
    inputTokens,
    targetTokens,
    choiceExamples,
  };
}

/** What does not fit would run on into the next pack. */
function expectRoom(examples: readonly EncodedExample[], row: number, shape: BatchShape): void {
  const sum = (count: (example: EncodedExample) => number): number =>
    examples.reduce((total, example) => total + count(example), 0);
  const needed = [
    { what: "input tokens", count: sum(({ input }) => input.length), room: shape.inputLength },
    { what: "target tokens", count: sum(tokensOf), room: shape.targetLength },
    { what: "sequences", count: sum(({ targets }) => targets.length), room: shape.sequences },
  ];
  for (const { what, count, room } of needed) {
    if (count > room) {
      throw new CadreError(
        "invalid-argument",
        `layOutPacks: pack ${row}: expected at most ${room} ${what}, got ${count}`,
      );
    }
  }
}

function layOut(packs: readonly OpenPack[], shape: BatchShape, padId: number): PackedBatch {
  return layOutPacks(
    packs.map((pack) => pack.examples),
    shape,
    padId,
  );
}

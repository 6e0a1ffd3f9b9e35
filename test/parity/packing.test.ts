import { describe, expect, test } from "vitest";
import { at } from "../../src/core/at.js";
import { createRandom } from "../../src/core/random.js";
import type { EncodedExample } from "../../src/mixtures/encoded-example.js";
import { layOutPacks } from "../../src/mixtures/pack.js";
import { initialTensors } from "../../src/models/initialize.js";
import type { BatchShape } from "../../src/models/packed-batch.js";
import { parseT5Config } from "../../src/models/t5/config.js";
import { createT5 } from "../../src/models/t5/t5.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import { compileEvaluation, type Evaluation } from "./evaluate.js";
import { expectWithin } from "./fixture.js";

const VOCABULARY = 200;
/** Wide enough that products are divided among threads. */
const model = createT5(
  parseT5Config({
    vocab_size: VOCABULARY,
    d_model: 64,
    d_kv: 16,
    d_ff: 96,
    num_heads: 4,
    num_layers: 2,
    feed_forward_proj: "gated-gelu",
    tie_word_embeddings: false,
  }),
);
const tensors = initialTensors(model.parameters, 3);
const shape: BatchShape = { rows: 2, inputLength: 96, targetLength: 48, sequences: 8 };

/** Random tokens; `salt` makes others of the same lengths. */
function example(salt: number, inputLength: number, ...targetLengths: number[]): EncodedExample {
  const random = createRandom(salt);
  const draw = (length: number): Int32Array =>
    Int32Array.from({ length }, (_, index) => (index === length - 1 ? 1 : 2 + random.nextInteger(VOCABULARY - 2)));
  return { input: draw(inputLength), targets: targetLengths.map(draw), correct: 0 };
}

/** Logits and log-probabilities of one example of a pack, as bytes. */
function partOf(evaluation: Evaluation, packs: readonly (readonly EncodedExample[])[], wanted: EncodedExample) {
  const row = packs.findIndex((pack) => pack.includes(wanted));
  const pack = at(packs, row);
  const tokens = (one: EncodedExample): number => one.targets.reduce((sum, { length }) => sum + length, 0);
  const before = pack.slice(0, pack.indexOf(wanted)).reduce((sum, one) => sum + tokens(one), 0);
  const start = row * shape.targetLength + before;
  const end = start + tokens(wanted);
  return {
    logits: evaluation.logits.slice(start * VOCABULARY, end * VOCABULARY),
    logProbabilities: evaluation.logProbabilities.slice(start, end),
  };
}

const first = example(1, 21, 9);
const choices = example(2, 17, 3, 5, 4);
const last = example(3, 40, 11);
const other = example(4, 70, 30);

describe.each([1, 2])("at %i threads", (threads) => {
  const compiled = openDevice({ threads }).then((device) => compileEvaluation({ device, model, shape }));
  const run = async (packs: readonly (readonly EncodedExample[])[]) =>
    await (await compiled).run(layOutPacks(packs, shape, model.padId), tensors);
  const packs = [[first, choices, last], [other]];

  test.each([
    {
      what: "the ids of the one before",
      changed: [[example(9, 21, 9), choices, last], [other]],
      kept: [choices, last, other],
    },
    {
      what: "the ids of the one between",
      changed: [[first, example(9, 17, 3, 5, 4), last], [other]],
      kept: [first, last, other],
    },
    {
      what: "the ids of the one after",
      changed: [[first, choices, example(9, 40, 11)], [other]],
      kept: [first, choices, other],
    },
    {
      what: "the length of the one after",
      changed: [[first, choices, example(9, 55, 20)], [other]],
      kept: [first, choices, other],
    },
    { what: "what follows: nothing", changed: [[first, choices], [other]], kept: [first, choices, other] },
    {
      what: "what follows: two instead of one",
      changed: [[first, choices, example(9, 5, 2), example(10, 33, 7)], [other]],
      kept: [first, choices, other],
    },
    {
      what: "the other pack",
      changed: [
        [first, choices, last],
        [example(9, 12, 4), example(10, 30, 8)],
      ],
      kept: [first, choices, last],
    },
    {
      what: "the choices of the one between",
      changed: [[first, example(9, 17, 8, 4), last], [other]],
      kept: [first, last, other],
    },
  ])("changing a neighbour changes no bit: $what", async ({ changed, kept }) => {
    const before = await run(packs);
    const after = await run(changed);
    for (const one of kept) {
      expect(partOf(after, changed, one)).toEqual(partOf(before, packs, one));
    }
  });

  // Another place in the pack is another lane in the sums of softmax, so here the last bits may differ.
  test.each([5, 16, 20, 37])(
    "a neighbour of %i tokens before an example changes nothing but its place",
    async (length) => {
      const before = await run(packs);
      const changed = [[example(9, length, 1 + (length % 7)), choices, last], [other]];
      const after = await run(changed);
      for (const one of [choices, last]) {
        const expected = partOf(before, packs, one);
        expectWithin("logits", partOf(after, changed, one).logits, expected.logits, 1e-5);
      }
      expect(partOf(after, changed, other)).toEqual(partOf(before, packs, other));
    },
  );

  test("packed examples equal examples in packs of their own", async () => {
    const packed = await run(packs);
    for (const one of [first, choices, last, other]) {
      const alone = await run([[one], []]);
      const expected = partOf(alone, [[one]], one);
      const actual = partOf(packed, packs, one);
      expectWithin("log-probabilities", actual.logProbabilities, expected.logProbabilities, 1e-5);
      expectWithin("logits", actual.logits, expected.logits, 1e-5);
    }
  });
});

test("1 and 2 threads give the same bits", async () => {
  const packs = [[first, choices, last], [other]];
  const evaluations: Evaluation[] = [];
  for (const threads of [1, 2]) {
    await using device = await openDevice({ threads });
    await using compiled = await compileEvaluation({ device, model, shape, differentiate: "tokens" });
    evaluations.push(await compiled.run(layOutPacks(packs, shape, model.padId), tensors));
  }
  expect(evaluations[1]).toEqual(evaluations[0]);
});

import { afterAll, expect, test } from "vitest";
import { at } from "../../src/core/at.js";
import { createRandom, hashText } from "../../src/core/random.js";
import { evaluateSystems } from "../../src/evaluation/evaluate-systems.js";
import type { EvaluationTask } from "../../src/evaluation/results-task.js";
import { createChoiceScorer } from "../../src/evaluation/score-choices.js";
import { createDelta, type DeltaConfig } from "../../src/experts/delta-config.js";
import { mergeExperts } from "../../src/merging/merge-experts.js";
import { encodeExample } from "../../src/mixtures/encode-example.js";
import { shuffledStream } from "../../src/mixtures/example-stream.js";
import { initialTensors } from "../../src/models/initialize.js";
import { parseT5Config } from "../../src/models/t5/config.js";
import { createT5 } from "../../src/models/t5/t5.js";
import { createBm25Router } from "../../src/routing/bm25-router.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import type { Tensor } from "../../src/tensors/tensor.js";
import { createByteTokenizer } from "../../src/tokenizers/byte-tokenizer.js";
import { adamW } from "../../src/training/optimizers/adamw.js";
import { createSchedule } from "../../src/training/schedules.js";
import { train } from "../../src/training/train.js";
import { fakeExpert, memoryStore, withTensors } from "./fake-answerers.js";

const device = await openDevice({ threads: 1 });
afterAll(() => device.close());
const tokenizer = await createByteTokenizer();
const model = createT5(
  parseT5Config({
    ...{ vocab_size: tokenizer.vocabularySize, d_model: 16, d_kv: 8, d_ff: 32, num_layers: 1, num_heads: 2 },
    ...{ feed_forward_proj: "gated-gelu", tie_word_embeddings: false },
  }),
);
const weights = initialTensors(model.parameters, 1);

const CHOICES = ["a", "b", "c", "d", "e", "f"];
const LORA: DeltaConfig = {
  kind: "lora",
  config: { rank: 8, alpha: 16, targets: ["q", "k", "v", "o", "wi_0", "wi_1", "wo", "encoder.embed_tokens"] },
};

/** Rows that hold one of the letters among digits, and say which. */
function letterTask(name: string, suite: "seen" | "unseen", rows: number): EvaluationTask {
  const random = createRandom(4, hashText(name));
  const digits = (): string => `${random.nextInteger(100)}`;
  return {
    ...{ name, suite, choices: CHOICES },
    rows: Array.from({ length: rows }, (_, row) => {
      const letter = at(CHOICES, row % CHOICES.length);
      return {
        ...{ instance: `${row}`, template: "input", input: `${digits()}${letter}${digits()}` },
        targets: [letter],
      };
    }),
  };
}

async function trainOn(
  { rows, choices = [] }: EvaluationTask,
  { delta, steps = 90 }: { readonly delta?: DeltaConfig; readonly steps?: number },
): Promise<ReadonlyMap<string, Tensor>> {
  const examples = rows.map((row) => encodeExample({ ...row, choices }, tokenizer));
  const { tensors } = await train({
    ...{ device, model, weights, steps, seed: 1, clipNorm: 1 },
    ...(delta === undefined ? {} : { delta: createDelta(delta, model.hookPoints) }),
    stream: shuffledStream(examples, 1),
    batch: { rows: 4, inputLength: 64, targetLength: 128, sequences: 60 },
    optimizer: adamW(),
    schedule: createSchedule({ kind: "constant", learningRate: 0.02, warmupSteps: 5, steps }),
    losses: { tokens: 0, choices: 1 },
  });
  return tensors;
}

const training = letterTask("training rows", "seen", 240);
const shuffledTargets = createRandom(8).shuffle(training.rows.map(({ targets }) => targets));
const shuffled = {
  ...training,
  rows: training.rows.map((row, index) => ({ ...row, targets: at(shuffledTargets, index) })),
};

test("an expert trained on shuffled labels is as good as guessing, one trained on the right ones is not; cells hold what each answers alone", async () => {
  const experts = [
    withTensors(fakeExpert("right", "letters", LORA), await trainOn(training, { delta: LORA })),
    withTensors(fakeExpert("shuffled", "nothing", LORA), await trainOn(shuffled, { delta: LORA })),
  ];
  const multitask = withTensors(
    { ...fakeExpert("multitask", "all", LORA), delta: undefined },
    await trainOn(training, { steps: 60 }),
  );
  const seen = letterTask("letters", "seen", 240);
  const unseen = letterTask("more letters", "unseen", 60);
  const router = createBm25Router({
    experts: experts.map(({ id }, index) => ({
      id,
      texts: unseen.rows.filter((_, row) => row % 2 === index).map(({ input }) => ({ input })),
    })),
  });
  const results = await evaluateSystems({
    ...{ device, model, weights, tokenizer, baseSha256: "a".repeat(64), trainingSeed: 1, settings: {} },
    ...{ tasks: [seen, unseen], experts, multitask, router, store: memoryStore() },
  });
  const cellOf = (system: string, task: EvaluationTask) => {
    const found = results.cells.find((cell) => cell.system === system && cell.task === task.name);
    if (found === undefined) {
      throw new Error(`expected a cell of ${system} on ${task.name}`);
    }
    return found;
  };
  const accuracy = (system: string): number =>
    cellOf(system, seen).scores.reduce((sum, score) => sum + score, 0) / seen.rows.length;
  expect(accuracy("expert:right")).toBeGreaterThan(0.9);
  expect(accuracy("multitask")).toBeGreaterThan(0.9);
  const chance = 1 / CHOICES.length;
  const error = Math.sqrt((chance * (1 - chance)) / seen.rows.length);
  expect(Math.abs(accuracy("base") - chance)).toBeLessThan(3 * error);
  expect(Math.abs(accuracy("expert:shuffled") - chance)).toBeLessThan(3 * error);

  const merged = mergeExperts(experts);
  const sources = [...experts, { ...merged, id: "merged" }];
  for (const { id, delta, tensors } of sources) {
    await using scorer = createChoiceScorer({
      ...{ device, model, weights },
      ...(delta === undefined ? {} : { delta: createDelta(delta, model.hookPoints) }),
    });
    const { scores } = await scorer.score(
      unseen.rows.map((row) => encodeExample({ ...row, choices: CHOICES }, tokenizer)),
      { deltaTensors: tensors },
    );
    const alone = scores.map((own) => at(CHOICES, own.indexOf(Math.max(...own))));
    const system = id === "merged" ? "mergedTop3" : `expert:${id}`;
    expect(cellOf(system, unseen).predictions, id).toEqual(alone);
  }
  expect(results.cells.some(({ system, task }) => system === "mergedTop3" && task === seen.name)).toBe(false);
}, 180_000);

import { at } from "../core/at.js";
import { createRandom } from "../core/random.js";
import { createChoiceScorer } from "../evaluation/score-choices.js";
import { expertBatchShape } from "../experts/expert-batch.js";
import { deltaOf, optimizerOf } from "../experts/expert-recipe.js";
import { encodeExample } from "../mixtures/encode-example.js";
import { truncateExample } from "../mixtures/encoded-example.js";
import { shuffledStream } from "../mixtures/example-stream.js";
import { createSchedule } from "../training/schedules.js";
import { train } from "../training/train.js";
import type { ElmContext } from "./elm-context.js";
import { type ElmSpeed, elmRecipe } from "./elm-settings.js";

/** The first steps compile and are not timed. */
const WARM_STEPS = 2;
const STEPS = 6;
/** Rows of each set that are encoded for the measurement, and how many of them all are answered. */
const ROWS = 50;
const ANSWERS = 96;

/** Trains a few steps and answers a few rows of all sets. */
export async function measureSpeed(context: ElmContext): Promise<ElmSpeed> {
  const { device, base, tokenizer, settings, tasks } = context;
  const recipe = elmRecipe(settings, { seed: 1, steps: STEPS });
  const { inputLength, targetLength } = recipe.batch;
  const examples = tasks.train
    .flatMap(({ splits }) => splits.train.slice(0, ROWS))
    .map((example) => truncateExample(encodeExample(example, tokenizer), { inputLength, targetLength }).example);
  const delta = deltaOf(recipe, base.model.hookPoints);
  const ends: number[] = [];
  await train({
    ...{ device, model: base.model, weights: base.weights },
    ...(delta === undefined ? {} : { delta }),
    stream: shuffledStream(examples, 1),
    batch: { ...expertBatchShape(recipe.batch, examples), pack: recipe.batch.pack },
    steps: STEPS,
    optimizer: optimizerOf(recipe),
    schedule: createSchedule({ kind: "constant", learningRate: recipe.learningRate, warmupSteps: 0, steps: STEPS }),
    losses: recipe.losses,
    seed: 1,
    onEvent: (event) => {
      if (event.type === "step-end") ends.push(performance.now());
    },
  });
  await using scorer = createChoiceScorer({ device, model: base.model, weights: base.weights, inputLength });
  const answered = createRandom(1)
    .shuffle([...examples])
    .slice(0, ANSWERS);
  await scorer.score(answered);
  const started = performance.now();
  await scorer.score(answered);
  return {
    secondsPerStep: (at(ends, STEPS - 1) - at(ends, WARM_STEPS - 1)) / 1000 / (STEPS - WARM_STEPS),
    secondsPerAnswer: (performance.now() - started) / 1000 / answered.length,
  };
}

import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import { createDelta } from "../experts/delta-config.js";
import type { TokenGenerator, TokenGeneratorOptions } from "../generation/generation.js";
import { createTokenGenerator } from "../generation/token-generator.js";
import { MAX_SCORED_CHOICE_TOKENS } from "../mixtures/check-task-trainable.js";
import type { Model } from "../models/model.js";
import type { Device } from "../runtime/device.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import type { Weights } from "../training/weights.js";
import type { Contestant } from "./contestants.js";
import type { Questions } from "./questions.js";
import type { Answered } from "./results-store.js";
import { answersByScore, type EvaluationTask } from "./results-task.js";
import { type ChoiceScorer, type ChoiceScorerOptions, createChoiceScorer } from "./score-choices.js";

/** Most tokens of a written answer, the end token included. */
export const ANSWER_TOKENS = 64;

/** What makes scorers and generators: tests stand in for models with it. */
export interface AnswererFactory {
  readonly createScorer: (options: ChoiceScorerOptions) => ChoiceScorer;
  readonly createGenerator: (options: TokenGeneratorOptions) => TokenGenerator;
}

/** What answerers share. */
export interface AnswererOptions {
  readonly device: Device;
  readonly model: Model;
  /** The base's. */
  readonly weights: Weights;
  readonly tokenizer: Tokenizer;
  /** Most input tokens, end token included. */
  readonly inputLength: number;
  readonly factory?: AnswererFactory;
}

/** A call of `Answerer.answer`. */
export interface AnswerCall {
  readonly task: EvaluationTask;
  /** Of that task. */
  readonly questions: Questions;
  /** Who answers; one of the answerer's. */
  readonly contestant: Contestant;
  readonly signal: AbortSignal | undefined;
}

/** Answers the rows of tasks for the contestants of a group. */
export interface Answerer extends AsyncDisposable {
  /** @throws CadreError as the scorer and the generator do, naming system and task. */
  answer(call: AnswerCall): Promise<Answered>;
}

/**
 * Opens what contestants of a group answer with. They share programs, as a delta's tensors come with each call; measured with 8 LoRA experts of rank 16
 * on a base of 9 million weights, that takes 16 % less processor time than stacks of experts among which rows choose (`mixExperts`). One whose weights
 * were all trained is alone in its group. Nothing is computed or copied to the device before the first answer.
 */
export function openAnswerer(group: readonly Contestant[], options: AnswererOptions): Answerer {
  const { device, model, tokenizer, inputLength } = options;
  const factory = options.factory ?? { createScorer: createChoiceScorer, createGenerator: createTokenGenerator };
  const { system, delta, tensors } = at(group, 0);
  const openSources = async () => ({
    ...{ device, model, inputLength },
    weights: delta === undefined && system !== "base" ? await tensors() : options.weights,
    ...(delta === undefined ? {} : { delta: createDelta(delta, model.hookPoints) }),
  });
  let scorer: ChoiceScorer | undefined;
  let generator: TokenGenerator | undefined;

  const answerNow = async ({ task, questions, contestant, signal }: AnswerCall): Promise<Omit<Answered, "seconds">> => {
    const call = {
      ...(delta === undefined ? {} : { deltaTensors: await contestant.tensors() }),
      ...(signal === undefined ? {} : { signal }),
    };
    if (questions.kind === "choices") {
      scorer ??= factory.createScorer({ ...(await openSources()), targetLength: MAX_SCORED_CHOICE_TOKENS });
      const { scores, truncatedExamples } = await scorer.score(questions.examples, call);
      return {
        ...answersByScore(questions.judged, scores),
        truncatedInputs: truncatedExamples,
        flops: flopsOf(
          questions.examples.map(({ input, targets }) => ({ input, answer: sum(targets.map(({ length }) => length)) })),
        ),
      };
    }
    generator ??= factory.createGenerator(await openSources());
    const generated = await generator.generate(
      questions.inputs.map((input) => ({ input })),
      { ...call, maxNewTokens: ANSWER_TOKENS },
    );
    const predictions = generated.map(({ ids }) => tokenizer.decode(ids));
    return {
      predictions,
      scores: predictions.map((prediction, row) => questions.metric(prediction, at(task.rows, row).targets)),
      truncatedInputs: generated.filter(({ inputTokensCut }) => inputTokensCut > 0).length,
      flops: flopsOf(questions.inputs.map((input, row) => ({ input, answer: at(generated, row).ids.length }))),
    };
  };
  /** Of the base's forward passes over each row by itself, so that neither padding nor company counts; what a delta adds is not counted, as in training. */
  const flopsOf = (rows: readonly { readonly input: Int32Array; readonly answer: number }[]): number =>
    2 *
    sum(
      rows.map(({ input, answer }) => {
        const cost = model.forwardCost({
          rows: 1,
          inputLength: Math.min(input.length, inputLength),
          targetLength: answer,
          sequences: 1,
        });
        return cost.weightMultiplyAdds + cost.activationMultiplyAdds;
      }),
    );
  return {
    async answer(call) {
      const start = performance.now();
      try {
        const answered = await answerNow(call);
        return { ...answered, seconds: (performance.now() - start) / 1000 };
      } catch (error) {
        if (!CadreError.isInstance(error)) throw error;
        const { contestant, task } = call;
        throw new CadreError(error.code, `evaluation: ${contestant.system} on "${task.name}": ${error.message}`, {
          cause: error,
        });
      }
    },
    async [Symbol.asyncDispose]() {
      await scorer?.close();
      await generator?.close();
    },
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

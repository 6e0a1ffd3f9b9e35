import { parseConfig } from "../core/parse-config.js";
import { type ExpertRecipe, expertRecipeSchema, smallBaseDeltas, withOverrides } from "../experts/expert-recipe.js";
import { type TextFormat, textFormatSchema } from "../routing/text-format.js";
import type { ElmLimits } from "./node/read-elm-tasks.js";

/** How large the study is. */
export interface ElmSettings {
  readonly limits: ElmLimits;
  /** Rows of a step, and most tokens of an input in training and in judging, end token included. */
  readonly batchRows: number;
  readonly inputLength: number;
  /** Steps of a prompt expert; an expert of a data set gets the sum of its prompt experts' steps. */
  readonly promptSteps: number;
  /** Sets on which kinds of deltas are compared. */
  readonly kindSets: readonly string[];
  /** Experts that are added one by one; those of the other sets are there from the start. */
  readonly added: number;
  /** Rows of each set that are asked again after every addition. */
  readonly probeRows: number;
  /** Generated tasks that are made of two others; and instances of each task. */
  readonly composed: readonly string[];
  readonly composedRows: { readonly train: number; readonly validation: number; readonly test: number };
  /** Factors of task vectors that are tried on development tasks; and how many of the experts with most votes are merged. */
  readonly lambdas: readonly number[];
  readonly tops: readonly number[];
  /** Of the retrieval ablation. */
  readonly formats: readonly TextFormat[];
  readonly keys: readonly number[];
  readonly queries: readonly number[];
}

/** The study as it is reported: under an hour and a half a seed on one core, see {@link estimateElm}. */
export const elmSettings: ElmSettings = {
  limits: { train: 1000, validation: 32, seen: 30, unseen: 64 },
  batchRows: 16,
  inputLength: 128,
  promptSteps: 40,
  kindSets: ["agnews", "sst2", "qqp", "boolq"],
  added: 10,
  probeRows: 8,
  composed: ["extraction/destination-then-country", "words/reverse-then-commas", "numbers/double-then-add-three"],
  composedRows: { train: 1000, validation: 32, test: 150 },
  lambdas: [0.1, 0.2, 0.3, 0.5],
  tops: [2, 3, 5],
  formats: textFormatSchema.options,
  keys: [10, 100, 300],
  queries: [1, 8, 32, 100],
};

/** Steps of an expert of a generated task, which has three templates. */
export function composedSteps({ promptSteps }: Pick<ElmSettings, "promptSteps">): number {
  return 3 * promptSteps;
}

/** What ELM uses, where the ablation has it. */
export const ELM_RETRIEVAL = { format: "choice_instance", keys: 100, queries: 32 } as const;

/** The recipe of an expert of the study: `mini` but for lengths, steps and, if asked for, the kind of delta. */
export function elmRecipe(
  { batchRows, inputLength }: ElmSettings,
  options: { readonly seed: number; readonly steps: number; readonly kind?: keyof typeof smallBaseDeltas },
): ExpertRecipe {
  const { seed, steps, kind = "full" } = options;
  const recipe = withOverrides("mini", {
    delta: smallBaseDeltas[kind].delta,
    seed,
    steps,
    warmupSteps: Math.min(10, steps),
    batch: { rows: batchRows, inputLength },
  });
  return parseConfig(expertRecipeSchema, recipe, { where: "elm recipe", code: "invalid-argument" });
}

/** How fast this machine is now. */
export interface ElmSpeed {
  /** Of a training step of an expert, of all weights. */
  readonly secondsPerStep: number;
  /** Of a row of rank classification. */
  readonly secondsPerAnswer: number;
}

/** What a seed of the study takes. */
export interface ElmEstimate {
  readonly trainingSteps: number;
  /** Rows that are answered, over all systems. */
  readonly answers: number;
  readonly seconds: number;
}

/**
 * Steps and answers of one seed, and their time at a measured speed.
 *
 * With T sets of 3 templates and S steps for a prompt expert: prompt experts 3TS, experts of sets 3TS, multitask models 3TS and S; sequential
 * training 3TS and 3S for the one-budget model beside its start; two further kinds on K sets 6KS; a composed task 2 experts, their multitask models at both
 * budgets, 15S. With T = 12, S = 40, K = 4 and 5 composed tasks: 3 · 1440 + 40 + 1560 + 960 + 3000 = 9,880 steps of 16 rows.
 */
export function estimateElm(
  settings: ElmSettings,
  sets: {
    readonly train: number;
    readonly templates: number;
    readonly development: number;
    readonly test: number;
    readonly composed: number;
  },
  { secondsPerStep, secondsPerAnswer }: ElmSpeed,
): ElmEstimate {
  const { limits, promptSteps, kindSets, composedRows, lambdas, tops } = settings;
  const setSteps = sets.templates * promptSteps;
  const all = sets.train * setSteps;
  const trainingSteps =
    3 * all +
    promptSteps +
    all +
    setSteps +
    2 * kindSets.length * setSteps +
    5 * sets.composed * composedSteps(settings);
  const seenRows = sets.train * sets.templates * limits.seen;
  const unseenRows = (sets.development + sets.test) * sets.templates * limits.unseen;
  const promptSystems = sets.train * sets.templates + 4;
  const setSystems = sets.train + 4;
  const answers =
    (promptSystems + setSystems) * (seenRows + unseenRows) +
    (1 + 2 * lambdas.length + tops.length) * unseenRows +
    (sets.train + 1) * seenRows +
    2 * kindSets.length * sets.templates * limits.seen +
    sets.composed * 7 * composedRows.test;
  const seconds = trainingSteps * secondsPerStep + answers * secondsPerAnswer;
  return { trainingSteps, answers, seconds };
}

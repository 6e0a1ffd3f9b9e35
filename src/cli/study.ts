import { join, resolve } from "node:path";
import { trainIntoLibrary } from "../cadre/node/train-into-library.js";
import { CadreError } from "../core/errors.js";
import { sha256 } from "../core/hash.js";
import { hashBase } from "../library/base-hash.js";
import { openModelFolder } from "../models/node/model-folder.js";
import { resolveBase } from "../models/node/resolve-base.js";
import { writeReport } from "../report/node/write-report.js";
import type { Report } from "../report/report.js";
import { openSentenceEncoder } from "../routing/node/open-sentence-encoder.js";
import { openDevice } from "../runtime/node/open-device.js";
import { armRecipe } from "../studies/arm.js";
import { CARD_SETS, type CardRunProgress, studyBaseCard } from "../studies/base-card.js";
import { cardRecipe } from "../studies/base-card-result.js";
import { type ElmOptions, studyElm } from "../studies/elm.js";
import type { ElmTrainer } from "../studies/elm-context.js";
import { studyLearnability } from "../studies/learnability.js";
import type { LearnabilityRun } from "../studies/learnability-run.js";
import { openTokenizer } from "../tokenizers/node/open-tokenizer.js";
import { duration } from "./duration.js";
import { choiceOption, numberOption, offlineOption, threadsOption } from "./options.js";

/** What the command line passes. */
export interface StudyCommandOptions {
  readonly base: string;
  readonly data: string;
  readonly results?: string;
  readonly out: string;
  readonly part: string;
  readonly sets?: readonly string[];
  readonly seed?: readonly string[];
  readonly encoder?: string;
  readonly threads?: string;
  readonly offline?: boolean;
}

/** The studies by name. */
const studies = ["learnability", "base-card", "elm"] as const;
/** So many digits of the weights' hash (`hashBase`) stand in a report. */
const WEIGHTS_DIGITS = 12;
/** Training seeds of the study `elm`; a claim needs three. */
const ELM_SEEDS = [1, 2, 3];

/** `cadre study NAME`. */
export async function studyCommand(wanted: string, options: StudyCommandOptions): Promise<void> {
  const name = studies.find((study) => study === wanted);
  if (name === undefined) {
    throw new CadreError("invalid-argument", `study: expected ${studies.join(", ")}, got "${wanted}"`);
  }
  const threads = threadsOption(options.threads);
  const folder = await resolveBase(options.base, offlineOption(options));
  await using device = await openDevice(threads);
  await using base = await openModelFolder(folder);
  const tokenizer = await openTokenizer(folder);
  const weights = await hashBase(base);
  const allResults = options.results ?? join("runs", "studies", name);
  const common = {
    device,
    base,
    tokenizer,
    resultsFolder: join(allResults, await keyOf(weights)),
    part: partOf(options.part),
  };
  const anyWeights = join(allResults, await keyOf([base.config, tokenizer.hash]));
  const report = await runStudy(name, { common, anyWeights, folder, options });
  if (report !== undefined) {
    const { markdown, html } = await writeReport(withBase(report, { name: options.base, weights }), {
      folder: options.out,
      name,
    });
    console.log(`${markdown}\n${html}`);
  }
}

/** What all studies are given. */
type CommonOptions = Pick<ElmOptions, "device" | "base" | "tokenizer" | "resultsFolder" | "part">;

async function runStudy(
  name: (typeof studies)[number],
  {
    common,
    anyWeights,
    folder,
    options,
  }: {
    readonly common: CommonOptions;
    readonly anyWeights: string;
    readonly folder: string;
    readonly options: StudyCommandOptions;
  },
): Promise<Report | undefined> {
  const dataFolder = resolve(options.data, "superglue-cls");
  switch (name) {
    case "learnability":
      return studyLearnability({ ...common, dataFolder, onRun: printLearnabilityRun });
    case "base-card":
      return studyBaseCard({
        ...common,
        anyWeightsResultsFolder: anyWeights,
        dataFolder,
        recipe: cardRecipe,
        sets: setsOf(options.sets),
        onRun: printCardRun,
      });
    case "elm":
      return runElm({ common, folder, options });
  }
}

async function runElm({
  common,
  folder,
  options,
}: {
  readonly common: CommonOptions;
  readonly folder: string;
  readonly options: StudyCommandOptions;
}): Promise<Report | undefined> {
  const { device } = common;
  const name = options.encoder;
  await using encoder =
    name === undefined
      ? undefined
      : await openSentenceEncoder({ device, folder: await resolveBase(name, offlineOption(options)) });
  return await studyElm({
    ...common,
    baseName: options.base,
    baseFolder: folder,
    list: join("recipes", "elm", "tasks.yaml"),
    dataFolder: resolve(options.data),
    seeds: seedsOf(options.seed),
    train: elmTrainer(device),
    ...(encoder === undefined || name === undefined ? {} : { sentenceEncoder: { name, encoder } }),
    onEstimate: ({ seeds, secondsPerStep, secondsPerAnswer, trainingSteps, answers, seconds }) =>
      console.log(
        `${seeds} ${seeds === 1 ? "seed" : "seeds"}, each ${trainingSteps} training steps of ${secondsPerStep.toFixed(2)} s and ${answers} answers of ${(1000 * secondsPerAnswer).toFixed(1)} ms: about ${duration(seconds)} a seed, ${duration(seeds * seconds)} in all, less what is there already`,
      ),
    onProgress: (message) => console.log(`${new Date().toISOString().slice(11, 19)}  ${message}`),
  });
}

/** Trains by the façade, and prints each training that ends. */
function elmTrainer(device: ElmOptions["device"]): ElmTrainer {
  return (training) =>
    trainIntoLibrary({
      ...training,
      ...{ device, replace: false, keyTexts: "none" },
      onEvent: (event) => {
        if (event.type === "task-end") {
          const { task, index, of, steps, score, seconds } = event;
          const accuracy = score.accuracy === undefined ? "" : `  validation ${percent(score.accuracy)} %`;
          console.log(`  ${index}/${of}  ${task}  ${steps} steps${accuracy}  ${seconds.toFixed(0)} s`);
        }
      },
    });
}

/** @throws CadreError `invalid-argument` */
function seedsOf(wanted: readonly string[] | undefined): readonly number[] {
  const range = { minimum: 0, maximum: 2 ** 32 - 1, integer: true };
  const seeds = wanted?.map((seed) => numberOption("seed", seed, range)) ?? ELM_SEEDS;
  if (new Set(seeds).size < seeds.length) {
    throw new CadreError("invalid-argument", `--seed: expected different seeds, got ${seeds.join(" ")}`);
  }
  return seeds;
}

/** A figure is of certain weights: a reader must see whether they are those that ship now. */
function withBase(report: Report, { name, weights }: { readonly name: string; readonly weights: string }): Report {
  const base = `base ${name}, weights ${weights.slice(0, WEIGHTS_DIGITS)}`;
  return { ...report, subtitle: report.subtitle === undefined ? base : `${report.subtitle}; ${base}` };
}

/**
 * Results of another base, or of arms that are trained in another way, must not be taken for this one's.
 * @param base what the results depend on: the hash of the weights, or the model's shape and its tokenizer.
 */
async function keyOf(base: unknown): Promise<string> {
  const arms = (["full", "lora", "bottleneck"] as const).map((trained) =>
    armRecipe({ weights: "base", trained, loss: "tokens and choices", learningRate: 1, steps: 100, seed: 1 }),
  );
  const key = JSON.stringify([base, arms]);
  return (await sha256(new TextEncoder().encode(key))).slice(0, 12);
}

function printLearnabilityRun(done: number, total: number, run: LearnabilityRun): void {
  const { set, armName, arm, accuracy, seconds } = run;
  const percents = Object.values(accuracy).map(percent).join(" → ");
  console.log(
    `${done}/${total}  ${set}  ${armName}  ${arm.loss} ${arm.learningRate}  ${percents} %  ${seconds.toFixed(0)} s`,
  );
}

function printCardRun({ set, arm, learningRate, seed, validationAccuracies, seconds }: CardRunProgress): void {
  console.log(
    `${set}  ${arm}  ${learningRate}  seed ${seed}  validation ${validationAccuracies.map(percent).join(" → ")} %  ${seconds.toFixed(0)} s`,
  );
}

/** @throws CadreError `invalid-argument` */
function setsOf(wanted: readonly string[] | undefined): readonly string[] {
  return wanted === undefined ? CARD_SETS : wanted.map((name) => choiceOption("sets", name, CARD_SETS));
}

function percent(share: number): string {
  return (100 * share).toFixed(1);
}

function partOf(text: string): { readonly number: number; readonly of: number } {
  const [number, of] = text.split("/").map(Number);
  if (number === undefined || of === undefined || !(Number.isInteger(of) && number >= 1 && number <= of)) {
    throw new CadreError("invalid-argument", `--part: expected NUMBER/OF such as 1/2, got "${text}"`);
  }
  return { number: number - 1, of };
}

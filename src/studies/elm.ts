import { CadreError } from "../core/errors.js";
import { sha256 } from "../core/hash.js";
import { hashBase } from "../library/base-hash.js";
import type { ModelFolder } from "../models/node/model-folder.js";
import type { Report } from "../report/report.js";
import { createPooledEncoder, type PooledEncoder } from "../routing/pooled-encoder.js";
import type { Device } from "../runtime/device.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { elmClaims } from "./elm-claims.js";
import type { ElmContext, ElmTrainer } from "./elm-context.js";
import { judgedRows } from "./elm-evaluate.js";
import { oneAnswerTasks } from "./elm-left-out.js";
import { elmReport } from "./elm-report.js";
import { type ElmEncoder, rateRetrieval, retrieve } from "./elm-retrieval.js";
import { type ElmSeedResults, runElmSeed } from "./elm-seed.js";
import {
  type ElmEstimate,
  type ElmSettings,
  type ElmSpeed,
  elmRecipe,
  elmSettings,
  estimateElm,
} from "./elm-settings.js";
import { measureSpeed } from "./elm-speed.js";
import { readElmTasks } from "./node/read-elm-tasks.js";

/** Digits of a hash that name a folder. */
const FOLDER_DIGITS = 12;

/** Options of `studyElm`. */
export interface ElmOptions {
  readonly device: Device;
  readonly base: ModelFolder;
  /** Its name in what is written, and its folder. */
  readonly baseName: string;
  readonly baseFolder: string;
  readonly tokenizer: Tokenizer;
  /** Path of the list of data sets. */
  readonly list: string;
  /** The folder to which the list's files are relative. */
  readonly dataFolder: string;
  /** Everything that is computed is kept under it. */
  readonly resultsFolder: string;
  /** Training seeds, all different; a claim needs three. */
  readonly seeds: readonly number[];
  /** This process's share of the seeds: of `of` processes the one with this number, from 0. Only the whole (0 of 1) makes the report. */
  readonly part: { readonly number: number; readonly of: number };
  readonly train: ElmTrainer;
  /** Default {@link elmSettings}. */
  readonly settings?: ElmSettings;
  /** A sentence encoder for the retrieval ablation, beside the base's own and BM25. */
  readonly sentenceEncoder?: { readonly name: string; readonly encoder: PooledEncoder };
  /** Told before anything is trained. */
  readonly onEstimate: (estimate: ElmEstimate & ElmSpeed & { readonly seeds: number }) => void;
  readonly onProgress: (message: string) => void;
}

/**
 * ELM (Jang et al. 2023) on public data: experts of prompts and of data sets, a multitask model, retrieval, merging and continual learning, and whether the
 * paper's claims hold at this scale. A study that was stopped goes on where it was: trainings from their checkpoints, answers cell by cell.
 * @throws CadreError as reading the data, training and `evaluateSystems` do.
 */
export async function studyElm(options: ElmOptions): Promise<Report | undefined> {
  const { device, base, tokenizer, settings = elmSettings, part, seeds, onProgress } = options;
  const { limits, composedRows } = settings;
  const read = await readElmTasks({ list: options.list, dataFolder: options.dataFolder, limits, composedRows });
  const baseSha256 = await hashBase(base);
  await using encoder = await createPooledEncoder({
    ...{ device, encoder: base.model, weights: base.weights, tokenizer, modelHash: baseSha256 },
  });
  const leftOut = oneAnswerTasks(read.test);
  const tasks = { ...read, test: read.test.filter(({ name }) => !leftOut.includes(name)) };
  const judged = [...read.train, ...read.development, ...read.test].map(({ name, splits }) => [name, splits]);
  const recipe = elmRecipe(settings, { seed: 0, steps: settings.promptSteps });
  const key = await sha256(new TextEncoder().encode(JSON.stringify([baseSha256, settings, recipe, judged])));
  const context: ElmContext = {
    ...{ device, base, baseSha256, tokenizer, encoder, settings, tasks, onProgress },
    baseName: options.baseName,
    baseFolder: options.baseFolder,
    train: options.train,
    folder: `${options.resultsFolder}/${key.slice(0, FOLDER_DIGITS)}`,
  };
  const own = seeds.filter((_, index) => index % part.of === part.number);
  const speed = await measureSpeed(context);
  const counts = {
    train: tasks.train.length,
    development: tasks.development.length,
    test: tasks.test.length,
    composed: settings.composed.length + tasks.compositions.length,
  };
  const templates = tasks.train[0]?.templates.length ?? 1;
  options.onEstimate({
    ...estimateElm(settings, { ...counts, templates }, speed),
    ...{ seeds: own.length, ...speed },
  });
  const results: ElmSeedResults[] = [];
  for (const seed of own) results.push(await runElmSeed(context, seed));
  if (part.of > 1) return undefined;
  const [first] = results;
  if (first === undefined) throw new CadreError("invalid-argument", "elm: expected at least one seed, got none");
  const development = tasks.development.map((task) => judgedRows(task, "unseen"));
  const test = tasks.test.map((task) => judgedRows(task, "unseen"));
  const encoders: ElmEncoder[] = [
    { name: "base", encoder },
    { name: "bm25", encoder: "bm25" },
    ...(options.sentenceEncoder === undefined ? [] : [options.sentenceEncoder]),
  ];
  const choices = await retrieve(context, { encoders, experts: first.promptExperts, tasks: [...development, ...test] });
  const retrieval = rateRetrieval(choices, {
    development: { results: results.map((one) => one.promptDevelopment), tasks: development.map(({ name }) => name) },
    test: { results: results.map((one) => one.prompt), tasks: test.map(({ name }) => name) },
  });
  const study = { settings, tasks, leftOut, seeds: results, retrieval, baseName: options.baseName };
  return elmReport(study, elmClaims(study));
}

import { dirname, join, resolve } from "node:path";
import { CadreError } from "../../core/errors.js";
import { type EventHandler, emit } from "../../core/events.js";
import { readJson } from "../../core/node/json.js";
import { createRandom } from "../../core/random.js";
import type { EncodedExample } from "../../mixtures/encoded-example.js";
import { checkSources, parseHeldout, parseSources } from "../../mixtures/sources.js";
import { textWindows } from "../../mixtures/text-windows.js";
import { findRowFiles } from "../../tasks/node/read-rows-files.js";
import type { Tokenizer } from "../../tokenizers/tokenizer.js";
import { corruptSpans } from "../../training/objectives/span-corruption.js";
import type { PretrainingRecipe } from "../pretraining-recipe.js";
import { NOISE, type PretrainingSources, type TextGroup } from "../pretraining-stream.js";
import { readInstructionSources } from "./pretraining-instructions.js";
import { indexHeldout, type PretrainingText, readPretrainingText, type SkippedFile } from "./pretraining-text.js";
import { readWordsOfRecipe } from "./pretraining-words.js";

/** Windows of the validation texts that are scored, spread evenly over them. */
const VALIDATION_WINDOWS = 160;

/** Options of `readPretrainingData`. */
export interface PretrainingDataOptions {
  readonly recipe: PretrainingRecipe;
  /** Folder that the recipe's `tokenizer`, `root`, `sources` and `heldout` are relative to. */
  readonly recipeFolder: string;
  /** Folder of the run; encoded texts are kept beside it, for all runs. */
  readonly runFolder: string;
  /** Refuse files that hold no text instead of skipping them. */
  readonly strict?: boolean;
  readonly onEvent?: EventHandler<PretrainingDataEvent>;
}

/** What `readPretrainingData` tells its handler. */
export type PretrainingDataEvent = ReadingEvent | FileSkippedEvent | DataReadyEvent;

/** Sent before every text file that is read. */
export interface ReadingEvent {
  readonly type: "reading";
  readonly bytes: number;
  readonly totalBytes: number;
  readonly path: string;
}

/** Sent for every file that is not used. */
export interface FileSkippedEvent extends SkippedFile {
  readonly type: "file-skipped";
}

/** What the pre-training learns from; also the content of `data.json`. */
export interface DataReadyEvent {
  readonly type: "data-ready";
  readonly textTokens: number;
  readonly validationTokens: number;
  readonly instructionTasks: number;
  readonly instructionInstances: number;
  /** Left out since held-out rows share words with them. */
  readonly droppedParagraphs: Readonly<Record<string, number>>;
  readonly droppedInstances: number;
  /** Held-out files that could not be compared. */
  readonly uncheckedFiles: readonly SkippedFile[];
}

/** What a recipe's files hold. */
export interface PretrainingData {
  readonly sources: PretrainingSources;
  readonly validation: readonly EncodedExample[];
  readonly ready: DataReadyEvent;
}

/**
 * Reads and encodes what a recipe names. Validation texts, and other files with the content of one, are left out of the training's.
 * @throws CadreError as the readers and `checkSources` say; `invalid-config` where nothing is left to train or to validate on.
 */
export async function readPretrainingData(
  { recipe, recipeFolder, runFolder, strict = false, onEvent }: PretrainingDataOptions,
  tokenizer: Tokenizer,
): Promise<PretrainingData> {
  const root = resolve(recipeFolder, recipe.root);
  const listOf = async <List>(path: string | undefined, parse: (value: unknown, where: string) => List) =>
    path === undefined ? undefined : parse(await readJson(resolve(recipeFolder, path)), path);
  const sources = await listOf(recipe.sources, parseSources);
  const heldout = await listOf(recipe.heldout, parseHeldout);
  if (sources !== undefined) {
    checkSources(sources, heldout ?? { files: [] });
  }
  const feelingWords = await readWordsOfRecipe(recipe, { recipeFolder, sources });
  const indexed =
    heldout === undefined ? undefined : await indexHeldout(heldout.files.map(({ path }) => join(root, path)));
  const sizes = await findRowFiles(
    [recipe.validation, ...recipe.text.map(({ paths }) => paths)].flat().map((path) => join(root, path)),
  );
  const totalBytes = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
  let bytesBefore = 0;
  const read = async (paths: readonly string[]): Promise<PretrainingText[]> => {
    let bytesOfThese = 0;
    const texts = await readPretrainingText({
      root,
      paths,
      tokenizer,
      cacheFolder: join(dirname(resolve(runFolder)), "encoded-text"),
      sources,
      heldout: indexed?.index,
      strict,
      onSkip: (file) => emit(onEvent, { type: "file-skipped", ...file }),
      onProgress: (bytes, total, path) => {
        bytesOfThese = total;
        emit(onEvent, { type: "reading", bytes: bytesBefore + bytes, totalBytes, path });
      },
    });
    bytesBefore += bytesOfThese;
    return texts;
  };
  const validationTexts = await read(recipe.validation);
  if (validationTexts.length === 0) {
    throw new CadreError(
      "invalid-config",
      `validation: expected at least one text file in ${recipe.validation.join(", ")}, found none`,
    );
  }
  const ofValidation = new Set(validationTexts.flatMap(({ path, sha256 }) => [path, sha256]));
  const groups: TextGroup[] = [];
  for (const { paths, kind, weight } of recipe.text) {
    const texts = (await read(paths)).filter(
      ({ path, sha256 }) => ![path, sha256].some((name) => ofValidation.has(name)),
    );
    if (texts.length === 0) {
      throw new CadreError(
        "invalid-config",
        `text: expected at least one file to train on in ${paths.join(", ")}, found none`,
      );
    }
    groups.push({ kind, weight, texts });
  }
  const instructions = await readInstructionSources({
    root,
    files: recipe.instructions,
    sources,
    heldout: indexed?.index,
  });
  const texts = groups.flatMap((group) => group.texts);
  const ready: DataReadyEvent = {
    type: "data-ready",
    textTokens: countTokens(texts),
    validationTokens: countTokens(validationTexts),
    instructionTasks: instructions.tasks.length,
    instructionInstances: instructions.tasks.reduce((sum, { instances }) => sum + instances.length, 0),
    droppedParagraphs: Object.fromEntries(
      [...texts, ...validationTexts]
        .filter(({ droppedParagraphs }) => droppedParagraphs > 0)
        .map(({ path, droppedParagraphs }) => [path, droppedParagraphs]),
    ),
    droppedInstances: instructions.droppedInstances,
    uncheckedFiles: indexed?.unreadable ?? [],
  };
  emit(onEvent, ready);
  return {
    sources: { groups, instructions: instructions.tasks, feelingWords },
    validation: validationExamples(validationTexts, recipe, tokenizer),
    ready,
  };
}

/** Denoised windows: the same ones at every validation and in every run with these texts. */
function validationExamples(
  texts: readonly PretrainingText[],
  recipe: PretrainingRecipe,
  tokenizer: Tokenizer,
): EncodedExample[] {
  const windows = textWindows(
    texts.map(({ tokens }) => tokens),
    { length: recipe.window, seed: 0 },
  );
  return Array.from({ length: VALIDATION_WINDOWS }, (_, index) =>
    corruptSpans(
      windows.next(),
      { ...NOISE, sentinelId: tokenizer.sentinelId, sentinels: tokenizer.sentinelCount, endId: tokenizer.endId },
      createRandom(0, index),
    ),
  );
}

function countTokens(texts: readonly PretrainingText[]): number {
  return texts.reduce((sum, { tokens }) => sum + tokens.length, 0);
}

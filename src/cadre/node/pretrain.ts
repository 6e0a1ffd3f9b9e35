import { copyFile, mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { CadreError } from "../../core/errors.js";
import { type EventHandler, emit } from "../../core/events.js";
import { sha256 } from "../../core/hash.js";
import { writeFileAtomic } from "../../core/node/atomic-write.js";
import { wrapSystemError } from "../../core/node/system-error.js";
import { createChoiceScorer } from "../../evaluation/score-choices.js";
import type { EncodedExample } from "../../mixtures/encoded-example.js";
import { type ModelFolder, openModelFolder, saveModelFolder } from "../../models/node/model-folder.js";
import { parseT5Config, type T5Config } from "../../models/t5/config.js";
import { createT5 } from "../../models/t5/t5.js";
import type { Device } from "../../runtime/device.js";
import { availableMemory } from "../../runtime/node/available-memory.js";
import { castTensor } from "../../tensors/convert.js";
import type { Tensor } from "../../tensors/tensor.js";
import { openTokenizer } from "../../tokenizers/node/open-tokenizer.js";
import type { Tokenizer } from "../../tokenizers/tokenizer.js";
import type { CheckpointStore } from "../../training/checkpoint-store.js";
import type { TrainingEvent } from "../../training/events.js";
import { checkpointFolder } from "../../training/node/checkpoint-folder.js";
import { openMetricsFile } from "../../training/node/metrics-file.js";
import { createSchedule } from "../../training/schedules.js";
import { train } from "../../training/train.js";
import { batchShapeOf, pretrainingOptimizer } from "../pretraining-recipe.js";
import { pretrainingStream } from "../pretraining-stream.js";
import { type PretrainingDataEvent, type PretrainingDataOptions, readPretrainingData } from "./pretraining-data.js";
import { startingEmbeddings } from "./starting-embeddings.js";

/** Examples whose hash stands for the whole stream in the checkpoints' fingerprint. */
const FINGERPRINT_EXAMPLES = 500;
/** Files of a tokenizer beside `tokenizer.json`, for Python's sake. */
const TOKENIZER_FILES = ["tokenizer_config.json", "special_tokens_map.json"];

/** Options of `pretrain`. */
export interface PretrainOptions extends PretrainingDataOptions {
  readonly device: Device;
  /** Folder of the run: checkpoints, `metrics.jsonl`, `model/`, `data.json`. A run that is there already goes on. */
  readonly runFolder: string;
  /** Stop after so many minutes of training, with a checkpoint from which the next call goes on. */
  readonly minutes?: number | undefined;
  readonly signal?: AbortSignal;
  readonly onEvent?: EventHandler<PretrainingEvent>;
}

/** What `pretrain` tells its handler: the reading of the data, then the events of the training. */
export type PretrainingEvent = PretrainingDataEvent | TrainingEvent;

/** What `pretrain` returns. */
export interface PretrainResult {
  readonly step: number;
  readonly finished: boolean;
  /** Folder of the model as it is now: `config.json`, f16 `model.safetensors`, `tokenizer.json`. */
  readonly modelFolder: string;
}

/**
 * Pre-trains a T5 on text and supervised examples and leaves a model folder. A run that was killed goes on from its newest checkpoint and
 * repeats the uninterrupted one bit for bit.
 * @throws CadreError as the readers of its data, `train` and `checkSources` say.
 */
export async function pretrain(options: PretrainOptions): Promise<PretrainResult> {
  const { device, recipe, runFolder, onEvent } = options;
  const tokenizerFolder = resolve(options.recipeFolder, recipe.tokenizer);
  const tokenizer = await openTokenizer(tokenizerFolder);
  const config = parseT5Config({ ...recipe.model, vocab_size: tokenizer.vocabularySize });
  const model = createT5(config);
  await mkdir(runFolder, { recursive: true }).catch((error: unknown) => {
    throw wrapSystemError(error, `cannot make ${runFolder}`);
  });
  await using start =
    recipe.start === undefined ? undefined : await openStart(resolve(options.recipeFolder, recipe.start), tokenizer);
  const { sources, validation, ready } = await readPretrainingData(options, tokenizer);
  await writeFileAtomic(
    join(runFolder, "data.json"),
    `${JSON.stringify({ format: "cadre-pretraining-data", formatVersion: 1, ...ready }, null, 2)}\n`,
  );
  const newStream = () => pretrainingStream(recipe, tokenizer, sources);
  const embeddings = await startingEmbeddings(recipe, { model, sources, runFolder });
  const store = checkpointFolder(join(runFolder, "checkpoints"));
  using metrics = openMetricsFile(join(runFolder, "metrics.jsonl"));
  await using scorer = createChoiceScorer({ device, model });
  const timeUp = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const modelFolder = join(runFolder, "model");
  const finish = async (tensors: ReadonlyMap<string, Tensor>): Promise<void> => {
    await saveBase(modelFolder, { config, tensors, tokenizerFolder });
  };
  try {
    const { step, tensors } = await train({
      device,
      model,
      ...(start === undefined ? {} : { weights: start.weights }),
      ...(embeddings === undefined ? {} : { deltaTensors: embeddings }),
      stream: newStream(),
      batch: batchShapeOf(recipe),
      steps: recipe.steps,
      optimizer: pretrainingOptimizer,
      schedule: createSchedule({ kind: "warmup-stable-decay", ...recipe }),
      clipNorm: recipe.clipNorm,
      losses: recipe.losses,
      dropout: { rate: recipe.dropout },
      seed: recipe.seed,
      memory: { availableBytes: await availableMemory() },
      checkpoints: {
        store,
        everySteps: recipe.checkpointSteps,
        fingerprint: { data: await hashExamples(newStream()) },
      },
      validation: {
        everySteps: recipe.validationSteps,
        score: async (state) => {
          const { scores } = await scorer.score(validation, { state });
          const total = scores.reduce((sum, [score = 0]) => sum + score, 0);
          return total / validation.reduce((sum, { targets }) => sum + (targets[0]?.length ?? 0), 0);
        },
      },
      signal: AbortSignal.any([timeUp.signal, ...(options.signal === undefined ? [] : [options.signal])]),
      onEvent: (event) => {
        metrics.onEvent(event);
        if (event.type === "training-start" && options.minutes !== undefined) {
          timer = setTimeout(() => timeUp.abort(), options.minutes * 60_000);
        }
        emit(onEvent, event);
      },
    });
    await finish(tensors);
    return { step, finished: true, modelFolder };
  } catch (error) {
    if (!timeUp.signal.aborted || !CadreError.isInstance(error) || error.code !== "aborted") {
      throw error;
    }
    const { step, tensors } = await newestOf(store, runFolder);
    await finish(new Map(model.parameters.flatMap(({ name }) => [...tensors].filter(([found]) => found === name))));
    return { step, finished: false, modelFolder };
  } finally {
    clearTimeout(timer);
  }
}

async function newestOf(store: CheckpointStore, folder: string) {
  const latest = await store.latest();
  if (latest === undefined) {
    throw new CadreError("aborted", `${folder}: the time was up before the first step; give it more minutes`);
  }
  return latest.checkpoint;
}

/** @throws CadreError as `openModelFolder` and `openTokenizer` say; `mismatch` where the base has another tokenizer: its weights would mean other pieces. */
async function openStart(folder: string, { hash }: Tokenizer): Promise<ModelFolder> {
  if ((await openTokenizer(folder)).hash !== hash) {
    throw new CadreError(
      "mismatch",
      `start: ${folder}: expected a base with the recipe's tokenizer, found another one; name that folder as tokenizer, too`,
    );
  }
  return openModelFolder(folder);
}

/** The stream's first examples stand for it: recipe, texts, tokenizer and the code that makes examples all show in them. */
async function hashExamples(stream: { next(): EncodedExample }): Promise<string> {
  const ids = Array.from({ length: FINGERPRINT_EXAMPLES }, () => {
    const { input, targets } = stream.next();
    return [...input, -1, ...targets.flatMap((target) => [...target, -1])];
  });
  return sha256(new Uint8Array(Int32Array.from(ids.flat()).buffer));
}

async function saveBase(
  folder: string,
  {
    config,
    tensors,
    tokenizerFolder,
  }: { readonly config: T5Config; readonly tensors: ReadonlyMap<string, Tensor>; readonly tokenizerFolder: string },
): Promise<void> {
  const half = new Map([...tensors].map(([name, tensor]) => [name, castTensor(tensor, "float16")]));
  await saveModelFolder(folder, { config, tensors: half });
  await copyFile(join(tokenizerFolder, "tokenizer.json"), join(folder, "tokenizer.json")).catch((error: unknown) => {
    throw wrapSystemError(error, `cannot copy the tokenizer to ${folder}`);
  });
  for (const name of TOKENIZER_FILES) {
    await copyFile(join(tokenizerFolder, name), join(folder, name)).catch(() => undefined);
  }
}

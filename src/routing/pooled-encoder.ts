import { at } from "../core/at.js";
import { CadreError, throwIfAborted } from "../core/errors.js";
import { groupBy } from "../core/group-by.js";
import { sha256 } from "../core/hash.js";
import { powerOfTwo } from "../core/numbers.js";
import { createTurns } from "../core/turns.js";
import { layOutPacks } from "../mixtures/pack.js";
import type { InputEncoder, Model } from "../models/model.js";
import type { BatchShape } from "../models/packed-batch.js";
import type { Device, Program, State } from "../runtime/device.js";
import { createProgramCache } from "../runtime/program-cache.js";
import { hasDType } from "../tensors/tensor.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { frozenWeights, readParameters, type Weights } from "../training/weights.js";
import type { EncoderIdentity } from "./key-encoder.js";
import { buildPoolProgram, POOL_WEIGHTS, POOLED } from "./pool-program.js";

/** Tokens of a batch with padding: large enough for full speed, small enough that activations stay in tens of megabytes. */
const BATCH_TOKENS = 2048;
/** Shortest rows; each next length is twice as long. */
const SHORTEST_ROW = 16;
/** Programs that are kept; each holds its activations. */
const MOST_PROGRAMS = 8;
/** The index length that ELM used, and MiniLM's own. */
const DEFAULT_INPUT_LENGTH = 256;

/** Options of {@link createPooledEncoder}. */
export interface PooledEncoderOptions {
  readonly device: Device;
  /** A model that has input states (T5), or an encoder that is no language model (BERT). */
  readonly encoder: Model | InputEncoder;
  readonly weights: Weights;
  readonly tokenizer: Pick<Tokenizer, "encode" | "hash">;
  /** SHA-256 of the model: of a base, what the library records of it. */
  readonly modelHash: string;
  /** Most tokens of a text, those that the tokenizer adds included; longer texts lose their end, but keep the last token. Default 256. */
  readonly inputLength?: number;
}

/** Texts to vectors: the mean of the encoder's states over all tokens of a text. */
export interface PooledEncoder extends AsyncDisposable {
  readonly identity: EncoderIdentity;
  /**
   * Encodes texts, `[texts, width]`, not normalised. Texts are batched by length; equal ones are encoded once. Of texts that are too long the end is
   * left out without a word: `tokensCut` tells.
   * @throws CadreError `non-finite` naming a text; `aborted`, `closed`.
   */
  pool(texts: readonly string[], options?: { readonly signal?: AbortSignal | undefined }): Promise<Float32Array>;
  /** Tokens of a text that `pool` leaves out, as it is longer than the encoder's `inputLength`; 0 where all are read. */
  tokensCut(text: string): number;
  close(): Promise<void>;
}

/**
 * Makes an encoder of texts of a model and a tokenizer, as `openModelFolder` and `openTokenizer` of `cadre` open them. Programs are compiled at the
 * first call that needs their shape; calls are answered one after the other. How texts are batched changes the last bits of a vector (about 1e-7 of
 * it); equal calls give equal bits on the CPU device.
 * @throws CadreError `unsupported` for a model without input states; `invalid-argument` for an input length that it does not have; `mismatch` naming a tensor that is missing or has the
 * wrong shape.
 */
export async function createPooledEncoder(options: PooledEncoderOptions): Promise<PooledEncoder> {
  const { device, weights, tokenizer, modelHash } = options;
  const encoder = expectInputStates(options.encoder);
  const { mostInputTokens = Number.POSITIVE_INFINITY } = encoder;
  const inputLength = options.inputLength ?? Math.min(DEFAULT_INPUT_LENGTH, mostInputTokens);
  if (!Number.isInteger(inputLength) || inputLength < 2 || inputLength > mostInputTokens) {
    throw new CadreError(
      "invalid-argument",
      `encoder: inputLength: expected a whole number from 2 to ${mostInputTokens}, got ${inputLength}`,
    );
  }
  const frozen = frozenWeights(weights, encoder.parameters);
  const { used, width } = buildPoolProgram({ encoder, frozen, shape: shapeOf(1, 1) });
  const hash = await sha256(new TextEncoder().encode(`${modelHash}:${tokenizer.hash}`));
  const programs = createProgramCache<Program>({ most: MOST_PROGRAMS, close: (program) => program.close() });
  const turns = createTurns();
  const state: State | undefined =
    frozen.kind === "slots" ? await device.createState(await readParameters(weights, used)) : undefined;
  let closed = false;

  const programFor = (shape: BatchShape): Promise<Program> =>
    programs.get(`${shape.rows},${shape.inputLength}`, () =>
      device.compile(buildPoolProgram({ encoder, frozen, shape }).bytes, {
        name: "encoding",
        ...(frozen.kind === "mapped" ? { weightsFolder: frozen.folder } : {}),
      }),
    );
  const poolBatch = async (rows: readonly Int32Array[], length: number): Promise<Float32Array> => {
    const shape = shapeOf(powerOfTwo(rows.length), length);
    const target = Int32Array.of(encoder.padId);
    const packs = rows.map((input) => [{ input, targets: [target], correct: 0 }]);
    const poolWeights = new Float32Array(shape.rows * length);
    rows.forEach((ids, row) => {
      poolWeights.fill(1 / ids.length, row * length, row * length + ids.length);
    });
    const program = await programFor(shape);
    const { outputs } = await program.run(
      {
        ...encoder.feeds(layOutPacks(packs, shape, encoder.padId)),
        [POOL_WEIGHTS]: { dtype: "float32", shape: [shape.rows, 1, length], data: poolWeights },
      },
      state === undefined ? {} : { state },
    );
    const pooled = outputs[POOLED];
    if (pooled === undefined || !hasDType(pooled, "float32")) {
      throw new CadreError("internal", `encoding: no output ${POOLED}`);
    }
    return pooled.data;
  };
  const poolNow = async (texts: readonly string[], signal: AbortSignal | undefined): Promise<Float32Array> => {
    if (closed) {
      throw new CadreError("closed", "pool: expected an open encoder, this one was closed; create another");
    }
    const distinct = [...new Set(texts)];
    const ids = distinct.map((text) => cut(tokenizer.encode(text), inputLength));
    const vectors = new Map<string, Float32Array>();
    for (const { length, members } of batchByLength(ids, inputLength)) {
      throwIfAborted(signal);
      const pooled = await poolBatch(
        members.map((index) => at(ids, index)),
        length,
      );
      members.forEach((index, row) => {
        vectors.set(at(distinct, index), pooled.subarray(row * width, (row + 1) * width));
      });
    }
    const result = new Float32Array(texts.length * width);
    texts.forEach((text, index) => {
      const vector = vectors.get(text) ?? new Float32Array();
      if (vector.some((value) => !Number.isFinite(value))) {
        throw new CadreError(
          "non-finite",
          `pool: text ${index}: the encoder has made a NaN or an infinity of ${JSON.stringify(text.slice(0, 100))}`,
          { details: { index } },
        );
      }
      result.set(vector, index * width);
    });
    return result;
  };
  const close = (): Promise<void> =>
    turns.run(async () => {
      closed = true;
      await programs.close();
      await state?.close();
    });
  return {
    identity: { id: `${encoder.kind}/mean/${inputLength}`, width, hash },
    pool: (texts, { signal } = {}) => turns.run(() => poolNow(texts, signal)),
    tokensCut: (text) => Math.max(0, tokenizer.encode(text).length - inputLength),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function expectInputStates(model: Model | InputEncoder): InputEncoder {
  const { inputStates } = model;
  if (inputStates === undefined) {
    throw new CadreError(
      "unsupported",
      `encoder: expected a model with states of its input, got a ${model.kind}, which has none; use an encoder of the MiniLM family or BM25`,
    );
  }
  return { ...model, inputStates };
}

function shapeOf(rows: number, inputLength: number): BatchShape {
  return { rows, inputLength, targetLength: 1, sequences: 1 };
}

/** The ids of a text cut to a length, with their last one (an end token) at the end. */
function cut(ids: Int32Array, length: number): Int32Array {
  if (ids.length <= length) return ids;
  const shortened = ids.slice(0, length);
  shortened.set(ids.subarray(-1), length - 1);
  return shortened;
}

/** Texts in batches of one length each: 16, 32, 64, ... up to the longest. */
function* batchByLength(
  texts: readonly Int32Array[],
  inputLength: number,
): Generator<{ readonly length: number; readonly members: readonly number[] }> {
  const lengthOf = (index: number): number =>
    Math.min(inputLength, Math.max(SHORTEST_ROW, powerOfTwo(at(texts, index).length)));
  const groups = groupBy(texts.keys(), lengthOf);
  for (const [length, group] of groups) {
    const most = Math.max(1, Math.floor(BATCH_TOKENS / powerOfTwo(length)));
    for (let first = 0; first < group.length; first += most) {
      yield { length, members: group.slice(first, first + most) };
    }
  }
}

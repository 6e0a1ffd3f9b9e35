import { CadreError } from "../core/errors.js";
import { inputsTogether } from "../generation/beam-batch.js";
import { sampleSeed } from "../generation/draws.js";
import { checkInteger, MOST_TOP, type RowOptions, resolveOptions } from "../generation/row-options.js";
import { createTextAssembler } from "../generation/text-assembler.js";
import type { GenerateTextOptions } from "./cadre.js";

/** Of an answer, where the request does not say. */
const DEFAULT_TOKENS = 64;
/** Most tokens of an answer: its keys and values lie in memory to its end, rounded up to a power of two, with those of up to 31 other answers. */
const MOST_TOKENS = 4096;
/** Most answers to one input. */
const MOST_SAMPLES = 128;

/** A request for text whose options have been checked. */
export interface TextRequest {
  /** One a sample; with `beams` only `maxNewTokens` and `repetitionPenalty` count. */
  readonly rows: readonly (RowOptions & { readonly maxNewTokens: number; readonly repetitionPenalty: number })[];
  /** 1: no beam search. */
  readonly beams: number;
  readonly stop: readonly string[];
  /** Tokens that are listed at every step; undefined: no tokens are listed. */
  readonly logProbabilities: number | undefined;
}

/**
 * Checks a request, so that a bad one is refused before others share a batch with it.
 * @param vocabularySize of the model
 * @throws CadreError `invalid-argument` for an option out of its range; `unsupported` for options that do not go together.
 */
export function checkTextRequest(options: GenerateTextOptions, vocabularySize: number): TextRequest {
  const { maxTokens = DEFAULT_TOKENS, temperature = 0, samples = 1, beams = 1, stop = [], logProbabilities } = options;
  const { topK, topP, minP, repetitionPenalty = 1 } = options;
  const where = "generate";
  checkInteger(where, { name: "maxTokens", value: maxTokens, least: 1, most: MOST_TOKENS });
  checkInteger(where, { name: "samples", value: samples, least: 1, most: MOST_SAMPLES });
  if (logProbabilities !== undefined) {
    checkInteger(where, { name: "logProbabilities", value: logProbabilities, least: 0, most: MOST_TOP });
  }
  createTextAssembler({ decode: () => "", stop });
  if (beams !== 1) checkBeams({ ...options, beams, temperature, samples }, vocabularySize);
  const seed = options.seed ?? crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  const row = {
    ...{ temperature, seed, repetitionPenalty, maxNewTokens: maxTokens },
    topLogProbabilities: logProbabilities ?? 0,
    ...(topK === undefined ? {} : { topK }),
    ...(topP === undefined ? {} : { topP }),
    ...(minP === undefined ? {} : { minP }),
  };
  resolveOptions(row, { row: 0, maxNewTokens: maxTokens });
  return {
    rows: Array.from({ length: samples }, (_, sample) => ({ ...row, seed: sampleSeed(seed, sample) })),
    ...{ beams, stop, logProbabilities },
  };
}

function checkBeams(
  {
    beams,
    temperature,
    samples,
    logProbabilities,
  }: GenerateTextOptions & { readonly beams: number; readonly temperature: number; readonly samples: number },
  vocabularySize: number,
): void {
  inputsTogether("generate", beams, vocabularySize);
  const fail = (expected: string): never => {
    throw new CadreError("unsupported", `generate: expected ${expected}`);
  };
  if (temperature > 0) fail(`beams 1 with a temperature above 0, got ${beams}; a beam search draws nothing`);
  if (samples > beams) fail(`at most as many samples as beams (${beams}), got ${samples}`);
  if ((logProbabilities ?? 0) > 0) fail("no likeliest tokens (logProbabilities above 0) of a beam search");
}

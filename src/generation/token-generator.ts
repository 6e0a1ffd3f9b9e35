import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import { groupBy } from "../core/group-by.js";
import { createTurns } from "../core/turns.js";
import { inputsTogether, searchBatch } from "./beam-batch.js";
import { checkDelta, limited } from "./check-call.js";
import { type BatchRow, decodeBatch } from "./decode-batch.js";
import { batchesOf } from "./decoding-batches.js";
import { createDecodingEngine } from "./decoding-engine.js";
import type {
  AnsweredRow,
  BeamAnswers,
  BeamRow,
  BeamSearcher,
  Generated,
  GeneratedPart,
  GenerateOptions,
  GenerationRow,
  TokenGenerator,
  TokenGeneratorOptions,
  TokenStream,
} from "./generation.js";
import { checkMaxNewTokens, checkPenalty, resolveOptions } from "./row-options.js";

/** Of an answer, where neither the row nor the call says. */
const DEFAULT_NEW_TOKENS = 64;

/**
 * Makes a generator. Rows of like length are decoded together; keys and values stay on the device between runs. Programs are compiled at the
 * first call that needs their shape and kept for the next.
 *
 * Which rows are decoded together changes the last bits of logits (about 1e-6 of them), so an answer can change where two tokens are as good
 * as equally likely, or a drawn number falls between them; equal calls give equal bits on the CPU device.
 *
 * @throws CadreError `unsupported` for a model that only scores.
 */
export function createTokenGenerator(options: TokenGeneratorOptions): TokenGenerator & BeamSearcher {
  const { model, inputLength = 512 } = options;
  const engine = createDecodingEngine(options);
  const turns = createTurns();
  let closed = false;

  const limit = <Row extends AnsweredRow>(rows: readonly Row[]): Row[] =>
    rows.map((row, index) => ({ ...row, input: limited(row, { model, inputLength, index }).input }));
  const tokensCut = ({ input }: AnsweredRow): number => Math.max(0, input.length - inputLength);
  /** Waits until other calls are over: calls share programs and slots. */
  const takeTurn = async (): Promise<() => void> => {
    const release = await turns.take();
    if (closed) {
      release();
      throw new CadreError("closed", "generate: expected an open generator, this one was closed; create another");
    }
    return release;
  };

  async function* decode(
    given: readonly GenerationRow[],
    call: GenerateOptions,
    stopped: ReadonlySet<number>,
  ): AsyncGenerator<GeneratedPart, void, undefined> {
    const maxNewTokens = checkMaxNewTokens("generate", call.maxNewTokens ?? DEFAULT_NEW_TOKENS);
    checkDelta(options, call);
    const rows = limit(given).map(
      (row, index): BatchRow => ({
        ...row,
        index,
        options: resolveOptions(row.options ?? {}, { row: index, maxNewTokens }),
      }),
    );
    const release = await takeTurn();
    try {
      for (const batch of batchesOf(rows.map(({ input }) => input.length))) {
        const members = batch.members.filter((index) => !stopped.has(index)).map((index) => at(rows, index));
        if (members.length > 0) {
          const state = await engine.stateWith(call.deltaTensors);
          const { rows: places, inputLength: length } = batch;
          yield* decodeBatch(engine, {
            ...{ rows: members, places, inputLength: length, state, stopped },
            signal: call.signal,
          });
        }
      }
    } finally {
      release();
    }
  }

  const stream = (rows: readonly GenerationRow[], call: GenerateOptions = {}): TokenStream => {
    const stopped = new Set<number>();
    return Object.assign(decode(rows, call, stopped), {
      stop: (row: number): void => {
        stopped.add(row);
      },
    });
  };

  const generate = async (rows: readonly GenerationRow[], call: GenerateOptions = {}): Promise<Generated[]> => {
    const parts = rows.map((): GeneratedPart[] => []);
    for await (const part of stream(rows, call)) {
      at(parts, part.row).push(part);
    }
    return parts.map((own, row) => ({ ...joined(own), inputTokensCut: tokensCut(at(rows, row)) }));
  };

  const searchBeams = async (given: readonly BeamRow[], call: GenerateOptions = {}): Promise<BeamAnswers[]> => {
    checkDelta(options, call);
    const rows = limit(given).map((row, index) => {
      const where = `generate: row ${index}`;
      const { maxNewTokens = call.maxNewTokens ?? DEFAULT_NEW_TOKENS, repetitionPenalty = 1 } = row;
      checkMaxNewTokens(where, maxNewTokens);
      checkPenalty(where, repetitionPenalty);
      const together = inputsTogether(where, row.beams, model.vocabularySize);
      return { ...row, index, maxNewTokens, repetitionPenalty, together };
    });
    const found: BeamAnswers[] = [];
    const release = await takeTurn();
    try {
      const state = await engine.stateWith(call.deltaTensors);
      for (const [beams, group] of groupBy(rows, (row) => row.beams)) {
        const lengths = group.map(({ input }) => input.length);
        for (const { members, inputLength: length } of batchesOf(lengths, at(group, 0).together)) {
          const own = members.map((member) => at(group, member));
          const { signal } = call;
          const answers = await searchBatch(engine, { rows: own, beams, inputLength: length, state, signal });
          for (const [place, { index }] of own.entries()) {
            found[index] = { answers: at(answers, place), inputTokensCut: tokensCut(at(given, index)) };
          }
        }
      }
    } finally {
      release();
    }
    return found;
  };

  const close = (): Promise<void> =>
    turns.run(async () => {
      closed = true;
      await engine.close();
    });
  return { generate, stream, searchBeams, close, [Symbol.asyncDispose]: close };
}

/** The answer that parts make up. */
function joined(parts: readonly GeneratedPart[]): Omit<Generated, "inputTokensCut"> {
  const listed = parts.flatMap(({ top = [] }) => top);
  return {
    ids: Int32Array.from(parts.flatMap(({ ids }) => [...ids])),
    logProbabilities: Float32Array.from(parts.flatMap(({ logProbabilities }) => [...logProbabilities])),
    ...(listed.length === 0 ? {} : { top: listed }),
    finish: parts.at(-1)?.finish ?? "length",
  };
}

import { at } from "../core/at.js";
import { throwIfAborted } from "../core/errors.js";
import { powerOfTwo } from "../core/numbers.js";
import type { RunOptions, RunResult, State } from "../runtime/device.js";
import type { Tensor } from "../tensors/tensor.js";
import { CANDIDATE_IDS, CANDIDATE_LOG_PROBABILITIES, CANDIDATE_SCORES } from "./beam-program.js";
import { type BeamSearch, type Candidate, createBeamSearch } from "./beam-search.js";
import { historyLength } from "./decode-program.js";
import { MOST_ROWS } from "./decoding-batches.js";
import type { DecodingEngine } from "./decoding-engine.js";
import type { AnsweredRow, BeamAnswer } from "./generation.js";
import { layOutBatch } from "./laid-out-batch.js";
import { finite, floatsOf, integersOf } from "./read-outputs.js";
import { checkInteger } from "./row-options.js";

/** An input of a batch of beam searches, cut to the limit, with all its options. */
export interface BeamBatchRow extends AnsweredRow {
  /** Position in the caller's list. */
  readonly index: number;
  readonly maxNewTokens: number;
  readonly repetitionPenalty: number;
}

/** Options of `searchBatch`. */
export interface SearchBatchOptions {
  readonly rows: readonly BeamBatchRow[];
  /** Of every input. */
  readonly beams: number;
  readonly inputLength: number;
  readonly state: State;
  readonly signal: AbortSignal | undefined;
}

/** An input with its search. */
interface Searched extends BeamBatchRow {
  readonly search: BeamSearch;
}

/**
 * Searches the answers to several inputs, a token a run: the inputs are read once each, then every beam is a row. @returns By input, the best
 * first.
 */
export async function searchBatch(
  engine: DecodingEngine,
  { rows, beams, inputLength, state, signal }: SearchBatchOptions,
): Promise<BeamAnswer[][]> {
  const { model, decoding } = engine;
  const held: RunOptions = { state, ...(signal === undefined ? {} : { signal }) };
  const inputs = { rows: powerOfTwo(rows.length), inputLength };
  const shape = { rows: powerOfTwo(rows.length * beams), inputLength };
  const mostTokens = Math.max(...rows.map(({ maxNewTokens }) => maxNewTokens));
  const window = { past: decoding.pastLength(inputs) + powerOfTwo(mostTokens) - 1, recent: 1 };
  const { start, chosen: chosenByInput } = layOutBatch(engine, rows, inputs);
  throwIfAborted(signal);
  await (await engine.prefill({ shape: inputs, window })).run({ ...start.feeds, ...chosenByInput }, held);

  const { chosen } = layOutBatch(
    engine,
    rows.flatMap((row) => Array.from({ length: beams }, () => row)),
    shape,
  );
  /** The input of a place; those left over go along with the first. */
  const inputOf = (place: number): number => (place < rows.length * beams ? Math.floor(place / beams) : 0);
  const byPlace = (dtype: "int32" | "float32", numberOf: (place: number) => number): Tensor =>
    dtype === "int32"
      ? { dtype, shape: [shape.rows], data: Int32Array.from({ length: shape.rows }, (_, place) => numberOf(place)) }
      : { dtype, shape: [shape.rows], data: Float32Array.from({ length: shape.rows }, (_, place) => numberOf(place)) };
  const pick = await engine.pickRows({ shape: inputs, window }, shape.rows);
  await pick.run({ picked: byPlace("int32", inputOf) }, held);

  const proposals = 2 * beams;
  const program = await engine.beamStep({ shape, window }, { proposals });
  const room = historyLength({ decoding, shape, window });
  const searches = rows.map(
    (row): Searched => ({
      ...row,
      search: createBeamSearch({ beams, endId: model.endId, maxNewTokens: row.maxNewTokens }),
    }),
  );
  const beamOf = (place: number) => {
    const own = place < rows.length * beams ? place % beams : 0;
    return at(at(searches, inputOf(place)).search.beams, own);
  };
  const startOf = (place: number): number => at(start.ids, inputOf(place));
  for (let done = 0; searches.some(({ search }) => !search.done); done++) {
    throwIfAborted(signal);
    const histories = Array.from({ length: shape.rows }, (_, place) => [startOf(place), ...beamOf(place).ids]);
    const result = await program.run(
      {
        ...chosen,
        ids: byPlace("int32", (place) => at(histories, place).at(-1) ?? startOf(place)),
        pastLengths: byPlace("int32", (place) => at(start.pastLengths, inputOf(place)) + done),
        parents: byPlace("int32", (place) => inputOf(place) * beams + beamOf(place).parent),
        history: {
          dtype: "int32",
          shape: [shape.rows, room],
          // What is there is repeated: a token counts once.
          data: Int32Array.from(
            histories.flatMap((read, place) =>
              Array.from({ length: room }, (_, token) => read[token] ?? startOf(place)),
            ),
          ),
        },
        penalties: byPlace("float32", (place) => at(rows, inputOf(place)).repetitionPenalty),
      },
      held,
    );
    for (const [input, { search, index }] of searches.entries()) {
      if (!search.done) {
        search.advance(
          Array.from({ length: beams }, (_, beam) =>
            candidatesAt(result, { place: input * beams + beam, proposals, index }),
          ),
        );
      }
    }
  }
  return searches.map(({ search }) => search.answers());
}

function candidatesAt(
  result: RunResult,
  { place, proposals, index }: { readonly place: number; readonly proposals: number; readonly index: number },
): Candidate[] {
  const [first, last] = [place * proposals, (place + 1) * proposals];
  const ids = integersOf(result, CANDIDATE_IDS);
  const scores = floatsOf(result, CANDIDATE_SCORES);
  const logProbabilities = finite(floatsOf(result, CANDIDATE_LOG_PROBABILITIES).subarray(first, last), index);
  return Array.from(logProbabilities, (logProbability, proposal) => ({
    id: at(ids, first + proposal),
    score: at(scores, first + proposal),
    logProbability,
  }));
}

/** How many inputs with so many beams are searched together. @throws CadreError `invalid-argument` for a bad number of beams. */
export function inputsTogether(where: string, beams: number, vocabularySize: number): number {
  checkInteger(where, {
    name: "beams",
    value: beams,
    least: 2,
    most: Math.min(MOST_ROWS, Math.floor(vocabularySize / 2)),
  });
  return Math.floor(MOST_ROWS / beams);
}

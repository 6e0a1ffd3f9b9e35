import { at } from "../core/at.js";
import { CadreError, throwIfAborted } from "../core/errors.js";
import { createTurns } from "../core/turns.js";
import { layOutRows, type Row } from "../experts/rows.js";
import { type EncodedExample, IGNORED } from "../mixtures/encoded-example.js";
import type { Delta } from "../models/delta.js";
import type { Model } from "../models/model.js";
import type { BatchShape } from "../models/packed-batch.js";
import type { Device, Program, State } from "../runtime/device.js";
import { createProgramCache } from "../runtime/program-cache.js";
import { hasDType, type Tensor } from "../tensors/tensor.js";
import { frozenWeights, readParameters, type Weights } from "../training/weights.js";
import { packForScoring } from "./score-packing.js";
import { buildScoreProgram, LOG_PROBABILITIES } from "./score-program.js";
import { expectExperts, limitRows, type ScoredRow } from "./score-rows.js";

/** Programs that are kept; each holds its activations. Single questions come in many small shapes, tables in few large ones. */
const MOST_PROGRAMS = { small: 24, large: 6 };
/** Most cells, input and target, of a small program: its activations take a few megabytes. */
const SMALL_CELLS = 512;

/** Options of `createChoiceScorer`. */
export interface ChoiceScorerOptions {
  readonly device: Device;
  readonly model: Model;
  /** The model's weights; without them, every call needs the state of a training that holds them. */
  readonly weights?: Weights;
  /** Applied to the model, one expert or those of `mixExperts`; its tensors come with each call. */
  readonly delta?: Delta;
  /** Of mixed experts, the `perRow` that `mixExperts` was given: most experts that examples of one batch row may use together. Default 1. */
  readonly perRow?: number;
  /**
   * `none` (default): a choice's score is the sum of its tokens' log-probabilities, as in T0 and ELM. `length`: their mean, as in T-Few, which
   * is what the loss over choices trains.
   */
  readonly normalization?: "none" | "length";
  /** Most input tokens, end token included; longer inputs are cut and counted. Default 512. */
  readonly inputLength?: number;
  /** Most tokens of all choices of an example together; default 1024. More are an error, since a cut choice is another choice. */
  readonly targetLength?: number;
}

/** What a call of `score` reads beside the rows. */
export interface ScoreOptions {
  /**
   * The state of a training of this model, delta and weights, e.g. as `validation.score` of `train` gets it: its current parameters are
   * scored, without a copy.
   */
  readonly state?: State;
  /**
   * The delta's tensors, where they are not in the state. Successive calls with the same map write them to the device once: give another map
   * for other tensors.
   */
  readonly deltaTensors?: ReadonlyMap<string, Tensor>;
  /** Takes effect between two batches. */
  readonly signal?: AbortSignal;
}

/** Scores of examples' choices. */
export interface ChoiceScores {
  /** For every row, in the order given, the score of each of its targets, in nats; higher is more likely. */
  readonly scores: readonly Float64Array[];
  /** Examples whose input was cut. */
  readonly truncatedExamples: number;
  readonly inputTokensCut: number;
}

/**
 * Scores the choices of examples, or of rows, whose experts answer them; calls are answered one after the other. Who asks for a scorer of
 * rows takes a `ChoiceScorer<Row>`, which a test can stand in for.
 */
export interface ChoiceScorer<Scored extends ScoredRow = EncodedExample> extends AsyncDisposable {
  /**
   * @throws CadreError `invalid-argument` naming an example that is malformed, whose choices are too long or whose experts do not fit, or
   * saying which tensors are missing; `not-found` for an unknown expert; `mismatch` for tensors of another shape; `aborted`; `closed`.
   */
  score(rows: readonly Scored[], options?: ScoreOptions): Promise<ChoiceScores>;
  close(): Promise<void>;
}

/**
 * Makes a scorer by rank classification: the log-probability of every choice under teacher forcing, given the input. All choices of an
 * example lie in one batch row beside its input, which is encoded once; short examples share batch rows. Programs are compiled at the first
 * call that needs their shape and kept for the next; with mixed experts they depend on the set as a whole, not on who answers what.
 *
 * An example as it is is answered by the scorer's delta; in a scorer of mixed experts, by the base, as a row that names no experts.
 * Encodings are not shared between experts: every kind and every configuration of a delta changes the encoder (LoRA and (IA)³ address
 * projections by names that both halves have, the bottleneck has adapters and norms in all blocks), so no two experts could share one.
 *
 * How rows are packed changes the last bits of a score (about 1e-6 of it); equal calls give equal bits on the CPU device.
 */
export function createChoiceScorer(options: ChoiceScorerOptions): ChoiceScorer<ScoredRow> {
  const { device, model, weights, delta, perRow = 1, normalization = "none", inputLength = 512 } = options;
  const { targetLength = 1024 } = options;
  const replaced = new Set(delta?.parameters.map(({ name }) => name));
  const kept = model.parameters.filter(({ name }) => !replaced.has(name));
  const frozen = weights === undefined ? ({ kind: "slots" } as const) : frozenWeights(weights, model.parameters);
  const cache = (most: number) => createProgramCache<Program>({ most, close: (program) => program.close() });
  const [small, large] = [cache(MOST_PROGRAMS.small), cache(MOST_PROGRAMS.large)];
  const turns = createTurns();
  let ownState: State | undefined;
  let written: ReadonlyMap<string, Tensor> | undefined;
  let closed = false;

  const programFor = (shape: BatchShape): Promise<Program> => {
    // Sequences are added up outside the program: only the inputs of mixed experts depend on how many there are.
    const sequences = delta?.batchInputs === undefined ? [] : [shape.sequences];
    const key = [shape.rows, shape.inputLength, shape.targetLength, ...sequences].join();
    const isSmall = shape.rows * (shape.inputLength + shape.targetLength) <= SMALL_CELLS;
    return (isSmall ? small : large).get(key, () =>
      device.compile(buildScoreProgram({ model, delta, frozen, shape }), {
        name: "scoring",
        ...(frozen.kind === "mapped" ? { weightsFolder: frozen.folder } : {}),
      }),
    );
  };
  /** As feeds, the tensors would be copied for every batch. */
  const stateFor = async ({ state, deltaTensors }: ScoreOptions): Promise<State | undefined> => {
    if (state !== undefined) {
      return state;
    }
    const isNew = deltaTensors !== undefined && deltaTensors !== written;
    const added = isNew ? await readParameters(deltaTensors, delta?.parameters ?? []) : undefined;
    if (ownState === undefined && weights !== undefined && frozen.kind === "slots") {
      ownState = await device.createState(await readParameters(weights, kept));
    }
    if (added !== undefined) {
      ownState ??= await device.createState(new Map());
      await ownState.write(added);
      written = deltaTensors;
    }
    return ownState;
  };
  const tensorFeeds = async ({ state, deltaTensors }: ScoreOptions): Promise<Record<string, Tensor>> =>
    state === undefined || deltaTensors === undefined
      ? {}
      : Object.fromEntries(await readParameters(deltaTensors, delta?.parameters ?? []));

  const scoreNow = async (given: readonly ScoredRow[], call: ScoreOptions): Promise<ChoiceScores> => {
    if (closed) {
      throw new CadreError("closed", "score: expected an open scorer, this one was closed; create another");
    }
    checkSources(options, call);
    const { rows, ...cuts } = limitRows(given, { inputLength, targetLength });
    expectExperts(rows, delta);
    const state = await stateFor(call);
    const feeds = await tensorFeeds(call);
    const scores = rows.map(({ example }) => new Float64Array(example.targets.length));
    for (const { shape, batches } of packForScoring(rows, { perPack: perRow })) {
      const program = await programFor(shape);
      for (const packs of batches) {
        throwIfAborted(call.signal);
        const packed = packs.map((pack) => pack.map((index) => at(rows, index)));
        const batch = layOutRows(packed, shape, model.padId);
        const targetIds: Tensor = {
          dtype: "int32",
          shape: [shape.rows, shape.targetLength],
          data: batch.targetIds,
        };
        const { outputs } = await program.run(
          { ...feeds, ...model.feeds(batch), ...delta?.feeds?.(batch), targetIds },
          state === undefined ? {} : { state },
        );
        addScores(scores, { logProbabilities: outputs[LOG_PROBABILITIES], packs, rows, shape, normalization });
      }
    }
    return { scores, ...cuts };
  };
  const close = (): Promise<void> =>
    turns.run(async () => {
      closed = true;
      await small.close();
      await large.close();
      await ownState?.close();
      ownState = undefined;
    });
  return {
    score: (rows, call = {}) => turns.run(() => scoreNow(rows, call)),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function checkSources({ weights, delta }: ChoiceScorerOptions, { state, deltaTensors }: ScoreOptions): void {
  if (weights === undefined && state === undefined) {
    throw new CadreError(
      "invalid-argument",
      "score: expected the model's weights or a state that holds them, got neither; give weights to createChoiceScorer",
    );
  }
  if (delta !== undefined && state === undefined && deltaTensors === undefined) {
    throw new CadreError(
      "invalid-argument",
      `score: expected the tensors of the ${delta.kind} delta or a state that holds them, got neither`,
    );
  }
  if (delta === undefined && deltaTensors !== undefined) {
    throw new CadreError(
      "invalid-argument",
      "score: expected no delta tensors, as the scorer has no delta; give it to createChoiceScorer",
    );
  }
}

/** Adds up the tokens of every choice of a batch. */
function addScores(
  scores: readonly Float64Array[],
  batch: {
    readonly logProbabilities: Tensor | undefined;
    /** The batch's packs, and in these positions in `rows`. */
    readonly packs: readonly (readonly number[])[];
    readonly rows: readonly Row[];
    readonly shape: BatchShape;
    readonly normalization: "none" | "length";
  },
): void {
  const { logProbabilities, packs, rows, shape, normalization } = batch;
  if (logProbabilities === undefined || !hasDType(logProbabilities, "float32")) {
    throw new CadreError("internal", `scoring: no output ${LOG_PROBABILITIES}`);
  }
  packs.forEach((pack, packIndex) => {
    let position = packIndex * shape.targetLength;
    pack.forEach((index) => {
      at(rows, index).example.targets.forEach((target, choice) => {
        let sum = 0;
        let tokens = 0;
        for (const id of target) {
          if (id !== IGNORED) {
            sum += at(logProbabilities.data, position);
            tokens++;
          }
          position++;
        }
        at(scores, index)[choice] = normalization === "length" ? sum / tokens : sum;
      });
    });
  });
}

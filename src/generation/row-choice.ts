import type { Graph, Value } from "../graph/graph.js";
import { cast, compare, minimum, mul, where } from "../graph/ops/elementwise.js";
import { gatherElements, gatherRows } from "../graph/ops/gather.js";
import { reduceSum } from "../graph/ops/reduce.js";
import { concat, reshape, slice } from "../graph/ops/shape-ops.js";
import { logSoftmax } from "../graph/ops/softmax.js";
import { sizeAt } from "../graph/shape.js";
import type { Tensor } from "../tensors/tensor.js";
import { uniformAt } from "./draws.js";
import type { Choice } from "./greedy.js";
import { mostLikely } from "./greedy.js";
import { cumulative, type DrawingOptions, drawingWeights, LOWEST, largest, penalize } from "./process-logits.js";
import { MOST_TOP, type ResolvedOptions } from "./row-options.js";

/** Candidates that are sorted where no top-k wants more; 40 and 50 are usual. */
const FEWEST_CANDIDATES = 64;

/** A token and the likeliest ones beside it. */
export interface ListedChoice extends Choice {
  /** `[rows, top]`, int32, the likeliest first. */
  readonly topIds: Value;
  /** `[rows, top]`, in nats, under the model's own distribution. */
  readonly topLogProbabilities: Value;
}

/** What the choice of a row's tokens reads, declared as inputs of a graph. */
export interface RowChoiceInputs extends DrawingOptions {
  /** `[rows]` */
  readonly penalties: Value;
  /** `[steps, rows]`: in [0, 1), decide what is drawn. */
  readonly uniforms: Value;
  /** `[rows, history]`, int32: the tokens that a row has read before the run. */
  readonly history: Value;
}

/** Declares them. @param shape.history Room for tokens of earlier runs and the one that the first step reads. */
export function declareRowChoice(
  graph: Graph,
  { rows, steps, history }: { readonly rows: number; readonly steps: number; readonly history: number },
): RowChoiceInputs {
  const byRow = (name: string): Value => graph.input(name, "float32", [rows]);
  return {
    temperatures: byRow("temperatures"),
    topKs: graph.input("topKs", "int32", [rows]),
    topPs: byRow("topPs"),
    minLogRatios: byRow("minLogRatios"),
    penalties: byRow("penalties"),
    uniforms: graph.input("uniforms", "float32", [steps, rows]),
    history: graph.input("history", "int32", [rows, history]),
  };
}

/** The candidates that rows with these options need sorted; programs differ in it. */
export function candidatesOf(options: readonly ResolvedOptions[], vocabularySize: number): number {
  let candidates = FEWEST_CANDIDATES;
  const most = Math.max(0, ...options.map(({ topK }) => topK));
  while (candidates < most) {
    candidates *= 2;
  }
  return Math.min(candidates, vocabularySize);
}

/** A row of the batch that is running. */
export interface ChoosingRow {
  readonly options: ResolvedOptions;
  /** The tokens that it has read, the start token first; one at least. */
  readonly history: readonly number[];
}

/** The feeds of those inputs. Rows of a program that have no row to answer are undefined. */
export function rowChoiceFeeds(
  rows: readonly (ChoosingRow | undefined)[],
  shape: { readonly steps: number; readonly history: number; readonly done: number; readonly vocabularySize: number },
): Record<string, Tensor> {
  const { steps, history, done, vocabularySize } = shape;
  const floats = (size: readonly number[], numberOf: (index: number) => number): Tensor => {
    const length = size.reduce((product, one) => product * one, 1);
    return { dtype: "float32", shape: [...size], data: Float32Array.from({ length }, (_, index) => numberOf(index)) };
  };
  const byRow = (numberOf: (options: ResolvedOptions) => number, none: number): Tensor =>
    floats([rows.length], (row) => {
      const options = rows[row]?.options;
      return options === undefined ? none : numberOf(options);
    });
  const topKs = rows.map((row) => Math.min(row?.options.topK ?? 0, vocabularySize));
  const read = rows.flatMap((row) =>
    // What is there is repeated: a token counts once.
    Array.from({ length: history }, (_, place) => row?.history[place] ?? row?.history[0] ?? 0),
  );
  return {
    temperatures: byRow(({ temperature }) => temperature, 0),
    topKs: { dtype: "int32", shape: [rows.length], data: Int32Array.from(topKs) },
    topPs: byRow(({ topP }) => topP, 1),
    minLogRatios: byRow(({ minP }) => Math.max(Math.log(minP), LOWEST), LOWEST),
    penalties: byRow(({ repetitionPenalty }) => repetitionPenalty, 1),
    uniforms: floats([steps, rows.length], (index) => {
      const options = rows[index % rows.length]?.options;
      return options === undefined ? 0 : uniformAt(options.seed, done + Math.floor(index / rows.length));
    }),
    history: { dtype: "int32", shape: [rows.length, history], data: Int32Array.from(read) },
  };
}

/**
 * A token for every row by its own options, `logits [rows, vocabulary]`. Measured with cadre-mini, 64 tokens, processor time on one thread,
 * beside `chooseGreedily`: 8 rows 220 for 180 ms, 32 rows 590 for 410; where top-p reaches beyond the candidates 320 and 910.
 *
 * @param step.index The step's number within the run, an int32 scalar.
 * @param step.made `[rows, tokens]`, int32: what the run has made so far, and other tokens of the history.
 */
export function chooseByRow(
  logits: Value,
  inputs: RowChoiceInputs,
  { index, made, candidates }: { readonly index: Value; readonly made: Value; readonly candidates: number },
): ListedChoice {
  const scores = penalize(logits, { history: concat([inputs.history, made], 1), penalties: inputs.penalties });
  const draws = compare("Greater", inputs.temperatures, 0);
  const temperatures = where(draws, inputs.temperatures, 1);
  const weights = drawingWeights(scores, { ...inputs, temperatures }, candidates);
  const ids = where(draws, drawOne(weights, gatherRows(inputs.uniforms, index)), mostLikely(scores));
  const logProbabilities = logSoftmax(logits);
  const top = largest(logProbabilities, Math.min(MOST_TOP, sizeAt(logits.shape, 1, "chooseByRow")));
  return {
    ids,
    logProbabilities: reshape(gatherElements(logProbabilities, reshape(ids, [...ids.shape, 1]), 1), ids.shape),
    topIds: top.places,
    topLogProbabilities: top.values,
  };
}

/**
 * The place of every row's first weight at which the weights so far exceed its share of them all, int32 `[rows]`.
 * @param weights `[rows, vocabulary]`, none negative, one at least above 0.
 * @param uniform `[rows]`, from `uniformAt`.
 */
export function drawOne(weights: Value, uniform: Value): Value {
  const vocabularySize = sizeAt(weights.shape, 1, "drawOne");
  const sums = cumulative(weights);
  const total = slice(sums, { axis: 1, start: vocabularySize - 1, end: vocabularySize });
  const passed = compare("LessOrEqual", sums, mul(total, reshape(uniform, [...uniform.shape, 1])));
  // Beyond the last one only where a weight is not a number, which what reads the results reports.
  return minimum(cast(reduceSum(cast(passed, "float32"), [1]), "int32"), vocabularySize - 1);
}

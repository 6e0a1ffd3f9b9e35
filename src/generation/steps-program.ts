import type { Value } from "../graph/graph.js";
import { loop } from "../graph/loop.js";
import { cast, compare, logical, where } from "../graph/ops/elementwise.js";
import { runtimeZeros } from "../graph/ops/primitives.js";
import { reduceMax } from "../graph/ops/reduce.js";
import { expand, reshape } from "../graph/ops/shape-ops.js";
import { serializeGraph } from "../graph/serialize.js";
import type { DType } from "../tensors/dtype.js";
import { type DecodeProgram, type DecodeProgramOptions, historyLength, known } from "./decode-program.js";
import { chooseGreedily } from "./greedy.js";
import { chooseByRow, declareRowChoice } from "./row-choice.js";
import { MOST_TOP } from "./row-options.js";
import { beginSteps, counting } from "./steps-graph.js";

/** Outputs of the program. */
export const TOKENS = "tokens";
export const LOG_PROBABILITIES = "logProbabilities";
/** Further ones where rows choose by options of their own. */
export const TOP_IDS = "topIds";
export const TOP_LOG_PROBABILITIES = "topLogProbabilities";

/** How the program chooses tokens. */
export type Choosing =
  /** The likeliest, nothing listed: the fastest. */
  | { readonly kind: "greedy" }
  /** By the options of every row, which are feeds. @see candidatesOf */
  | { readonly kind: "by-row"; readonly candidates: number };

/**
 * Builds a run of `window.recent` steps; it ends earlier when every row has.
 *
 * Feeds: those of `beginSteps`, `ended [rows]` bool, rows that go on with padding, and by-row those of `declareRowChoice`. Outputs
 * `[rows, steps]`: `tokens` int32, of which those behind a row's end mean nothing, and `logProbabilities`; by-row `topIds` and
 * `topLogProbabilities` `[rows, steps, top]`.
 */
export function buildStepsProgram(options: DecodeProgramOptions, choosing: Choosing): DecodeProgram {
  const { model, shape, window } = options;
  const { rows } = shape;
  const steps = window.recent;
  const { graph, firstIds, noEntries, step, finish } = beginSteps(options);
  const firstEnded = graph.input("ended", "bool", [rows]);
  const choice =
    choosing.kind === "greedy"
      ? undefined
      : {
          inputs: declareRowChoice(graph, { rows, steps, history: historyLength(options) }),
          candidates: choosing.candidates,
        };
  const numbers = counting(graph, steps);
  const zeros = (dtype: DType, ...sizes: readonly number[]): Value =>
    runtimeZeros(firstIds, dtype, [rows, steps, ...sizes]);
  const top = Math.min(MOST_TOP, model.vocabularySize);
  const listed = choice === undefined ? [] : [zeros("int32", top), zeros("float32", top)];
  // Where no token is yet stands one that was read: it does not change what a row has read.
  const noTokens = expand(reshape(firstIds, [rows, 1]), [rows, steps]);

  const { carried } = loop({
    graph,
    steps,
    carried: [firstIds, firstEnded, noTokens, zeros("float32"), ...listed, ...noEntries],
    sequences: [],
    body: ({ index: number, carried: [ids, ended, tokensBefore, logProbabilitiesBefore, ...rest] }) => {
      const index = cast(number, "int32");
      const made = known(tokensBefore, TOKENS);
      const { logits, entries } = step({ ids: known(ids, "ids"), index, entries: rest.slice(listed.length) });
      const before = known(ended, "ended");
      const written = (value: Value, all: Value | undefined): Value => {
        const sizes = value.shape.slice(1);
        const current = reshape(compare("Equal", numbers, index), [1, steps, ...sizes.map(() => 1)]);
        return where(current, reshape(value, [rows, 1, ...sizes]), known(all, "output"));
      };
      const chosen =
        choice === undefined
          ? undefined
          : chooseByRow(logits, choice.inputs, { index, made, candidates: choice.candidates });
      const { ids: wanted, logProbabilities } = chosen ?? chooseGreedily(logits);
      const nextIds = where(before, model.padId, wanted);
      const nextEnded = logical("Or", before, compare("Equal", nextIds, model.endId));
      return {
        carried: [
          nextIds,
          nextEnded,
          written(nextIds, tokensBefore),
          written(where(before, 0, logProbabilities), logProbabilitiesBefore),
          ...(chosen === undefined
            ? []
            : [written(chosen.topIds, rest[0]), written(chosen.topLogProbabilities, rest[1])]),
          ...entries,
        ],
        collected: [],
        goOn: compare("Greater", reduceMax(where(nextEnded, graph.scalar("int32", 0), 1), [0]), 0),
      };
    },
  });
  const [, , tokens, logProbabilities, ...rest] = carried;
  graph.output(TOKENS, known(tokens, TOKENS));
  graph.output(LOG_PROBABILITIES, known(logProbabilities, LOG_PROBABILITIES));
  if (choice !== undefined) {
    graph.output(TOP_IDS, known(rest[0], TOP_IDS));
    graph.output(TOP_LOG_PROBABILITIES, known(rest[1], TOP_LOG_PROBABILITIES));
  }
  const updates = finish(rest.slice(listed.length));
  return { bytes: serializeGraph(graph), updates };
}

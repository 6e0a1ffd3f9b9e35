import type { Graph, Value } from "../graph/graph.js";
import { gatherElements } from "../graph/ops/gather.js";
import { logSoftmax } from "../graph/ops/softmax.js";
import { serializeGraph } from "../graph/serialize.js";
import { type DecodeProgram, type DecodeProgramOptions, historyLength } from "./decode-program.js";
import { largest, penalize } from "./process-logits.js";
import { beginSteps } from "./steps-graph.js";

/** Outputs of the program. */
export const CANDIDATE_IDS = "candidateIds";
export const CANDIDATE_SCORES = "candidateScores";
export const CANDIDATE_LOG_PROBABILITIES = "candidateLogProbabilities";

/** What a program of beam search is made for, beside the batch. */
export interface BeamProgramShape {
  /** Next tokens that a beam proposes: twice as many as an input has beams, so that enough remain where some end. */
  readonly proposals: number;
}

/**
 * Builds one step of a beam search; every row is a beam.
 *
 * Feeds: those of `beginSteps`, `parents [rows]` int32 (the row whose past a beam goes on from), `history [rows, tokens]` int32 (what it has
 * read, the start token first), `penalties [rows]`. Outputs `[rows, proposals]`, the best first: `candidateIds` int32, `candidateScores`
 * (penalised log-probabilities), `candidateLogProbabilities` (the model's own).
 */
export function buildBeamProgram(options: DecodeProgramOptions, { proposals }: BeamProgramShape): DecodeProgram {
  const { rows } = options.shape;
  const { graph, firstIds, noEntries, step, finish } = beginSteps(options, declareParents(rows));
  const history = graph.input("history", "int32", [rows, historyLength(options)]);
  const penalties = graph.input("penalties", "float32", [rows]);
  const { logits, entries } = step({ ids: firstIds, index: graph.scalar("int32", 0), entries: noEntries });
  const logProbabilities = logSoftmax(logits);
  const { values, places } = largest(penalize(logProbabilities, { history, penalties }), proposals);
  graph.output(CANDIDATE_IDS, places);
  graph.output(CANDIDATE_SCORES, values);
  graph.output(CANDIDATE_LOG_PROBABILITIES, gatherElements(logProbabilities, places, 1));
  const updates = finish(entries);
  return { bytes: serializeGraph(graph), updates };
}

function declareParents(rows: number): (graph: Graph) => Value {
  return (graph) => graph.input("parents", "int32", [rows]);
}

import { emitOne, type Value } from "../graph/graph.js";
import { cast, log } from "../graph/ops/elementwise.js";
import { reduceMax } from "../graph/ops/reduce.js";
import { softmax } from "../graph/ops/softmax.js";

/** What a step chose, `[rows]` each. */
export interface Choice {
  /** int32 */
  readonly ids: Value;
  /** In nats, under the model's own distribution. */
  readonly logProbabilities: Value;
}

/** The most likely token of every row, `logits [rows, vocabulary]`; of equals, the first. */
export function chooseGreedily(logits: Value): Choice {
  // The most likely one's probability is at least 1/vocabulary: nothing underflows.
  return { ids: mostLikely(logits), logProbabilities: log(reduceMax(softmax(logits), [1])) };
}

/** The place of every row's largest score, int32 `[rows]`; of equals, the first. */
export function mostLikely(scores: Value): Value {
  const best = emitOne(
    scores.graph,
    { opType: "ArgMax", inputs: [scores], attributes: { axis: { int: 1 }, keepdims: { int: 0 } } },
    "int64",
    scores.shape.slice(0, 1),
  );
  return cast(best, "int32");
}

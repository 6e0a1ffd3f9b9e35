/**
 * Retrieval of experts: text in, weights over experts out: `cadre/routing`. Models and tokenizers for encoders are opened by `openModelFolder` and
 * `openTokenizer` of `cadre`.
 * @module
 */
export type { InputEncoder, Model } from "../models/model.js";
export type { Tokenizer } from "../tokenizers/tokenizer.js";
export type { Weights } from "../training/weights.js";
export {
  type Adjustment,
  type AdjustmentKind,
  adjustmentTensors,
  fitAdjustment,
  NO_ADJUSTMENT,
  parseAdjustment,
} from "./adjustment.js";
export { type Bm25RouterOptions, createBm25Router, type ExpertTexts } from "./bm25-router.js";
export { type ChooseAdjustmentOptions, type ChosenAdjustment, chooseAdjustment } from "./choose-adjustment.js";
export { createEmbedder, type Embedder } from "./embedder.js";
export { createExactSearch, type ExactSearch, type ExactSearchOptions, type Neighbour } from "./exact-search.js";
export {
  describeKeyEncoder,
  type EncoderIdentity,
  expectSameEncoder,
  type KeyEncoderRecord,
  parseKeyEncoder,
} from "./key-encoder.js";
export { type MadeKeys, type MakeKeysOptions, makeKeys } from "./make-keys.js";
export { createPooledEncoder, type PooledEncoder, type PooledEncoderOptions } from "./pooled-encoder.js";
export { measureRetrieval, type RetrievalAccuracy, type SeenTask, type TaskRetrieval } from "./retrieval-accuracy.js";
export {
  createRetrievalRouter,
  type ExpertVectors,
  type RetrievalRouter,
  type RetrievalRouterOptions,
} from "./retrieval-router.js";
export type { NearKey, QueryTrace, RankedExpert, RouteOptions, Router, Routing } from "./router.js";
export { DEFAULT_TEXT_FORMAT, formatText, type RoutingText, routingTextOf, type TextFormat } from "./text-format.js";
export { countVotes, type VoteOptions } from "./vote.js";

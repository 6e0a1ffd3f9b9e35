/**
 * Experts in a person's own program: the package's root, `cadre`.
 * @module
 */
export { CadreError, type CadreErrorOptions, type ErrorCode } from "../core/errors.js";
export type { WeightedExpert } from "../models/packed-batch.js";
export type { NearKey, QueryTrace, RankedExpert } from "../routing/router.js";
export type { DeviceKind } from "../runtime/device.js";
export type {
  AnsweredInput,
  AnswerRouting,
  AnswerToken,
  AskOptions,
  Cadre,
  Classification,
  ClassifyOptions,
  Embeddings,
  ExpertSelection,
  ExpertSummary,
  FinishReason,
  GeneratedText,
  GenerateTextOptions,
  Generation,
  ScoredChoice,
  TextPart,
} from "./cadre.js";
export { type ImportAdapterOptions, type ImportedAdapter, importAdapter } from "./node/import-adapter.js";
export { type OpenCadreOptions, openCadre } from "./node/open-cadre.js";
export {
  type TrainExpertsEvent,
  type TrainExpertsOptions,
  type TrainExpertsReport,
  trainExperts,
} from "./node/train-experts.js";

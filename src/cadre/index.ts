/**
 * Experts in a person's own program: the package's root, `cadre`.
 * @module
 */
export { CadreError, type CadreErrorOptions, type ErrorCode } from "../core/errors.js";
export type { EventHandler } from "../core/events.js";
export type { Comparison } from "../evaluation/comparison.js";
export type { EvaluationEvent } from "../evaluation/evaluate-systems.js";
export type { EvaluationResults } from "../evaluation/results-schema.js";
export type { ExpertRecipe, ExpertRecipeName } from "../experts/expert-recipe.js";
export type { HubEvent } from "../models/node/hub-snapshot.js";
export { type ModelFolder, openModelFolder } from "../models/node/model-folder.js";
export { type ResolveBaseOptions, resolveBase } from "../models/node/resolve-base.js";
export type { WeightedExpert } from "../models/packed-batch.js";
export type { NearKey, QueryTrace, RankedExpert } from "../routing/router.js";
export type { Device, DeviceKind, DeviceOptions } from "../runtime/device.js";
export { openDevice } from "../runtime/node/open-device.js";
export { openTokenizer } from "../tokenizers/node/open-tokenizer.js";
export type { Tokenizer } from "../tokenizers/tokenizer.js";
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
export type { TrainIntoLibraryEvent } from "./library-events.js";
export { type ImportAdapterOptions, type ImportedAdapter, importAdapter } from "./node/import-adapter.js";
export type { TaskNotJudgedEvent } from "./node/judge-library.js";
export { type OpenCadreOptions, openCadre } from "./node/open-cadre.js";
export {
  type JudgingStartEvent,
  type TasksReadEvent,
  type TrainExpertsEvent,
  type TrainExpertsOptions,
  type TrainExpertsReport,
  trainExperts,
} from "./node/train-experts.js";
export type { TrainIntoLibraryOptions } from "./node/train-into-library.js";

/**
 * Libraries of experts on disk: `cadre/library`.
 * @module
 */
export type { Tensor } from "../../tensors/tensor.js";
export type { ExpertKeys } from "../expert-keys.js";
export type { LibraryRouting } from "../library-file.js";
export type { BaseReference, ExpertManifest, KeyEncoder, NewExpertFields } from "../manifest.js";
export type { Expert, ExpertFiles, NewExpert } from "./expert-folder.js";
export { exportExpert } from "./export-expert.js";
export {
  createLibrary,
  type ExpertEntry,
  type Library,
  type LibraryScan,
  type OpenLibraryOptions,
  openLibrary,
  openOrCreateLibrary,
} from "./library.js";
export { type LibraryProblem, type LibraryVerification, type VerifyLibraryOptions, verifyLibrary } from "./verify.js";

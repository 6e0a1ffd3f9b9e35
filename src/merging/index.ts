/**
 * One delta out of several: `cadre/merging`.
 * @module
 */
export type { DeltaConfig } from "../experts/delta-config.js";
export { type MergedExpert, type MergeOptions, mergeExperts } from "./merge-experts.js";
export type { MergedDelta } from "./merged-delta.js";

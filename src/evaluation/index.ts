/**
 * Metrics, statistics and the comparison of systems: `cadre/evaluation`.
 * @module
 */
export {
  type BootstrapOptions,
  excludesZero,
  type Interval,
  meanInterval,
  type PairedInterval,
  pairedInterval,
} from "./bootstrap.js";
export { type ComparedFigure, type Comparison, compare, type DifferenceFigure, type Figure } from "./comparison.js";
export { type Answer, bestChoice, chance, isCorrect, judge, majorityClass } from "./rank-classification.js";
export type { EvaluationResults } from "./results-schema.js";
export { exactMatch, rougeL, tokenF1 } from "./text-metrics.js";

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
export { scoresPerByte } from "./choice-bytes.js";
export {
  type ComparedFigure,
  type ComparedPair,
  type Comparison,
  compare,
  type DifferenceFigure,
  type Figure,
  type SuiteComparison,
} from "./comparison.js";
export type { FigureName } from "./comparison-values.js";
export { type Answer, bestChoice, chance, isCorrect, judge, majorityClass } from "./rank-classification.js";
export type { EvaluationResults } from "./results-schema.js";
export { exactMatch, rougeL, tokenF1 } from "./text-metrics.js";

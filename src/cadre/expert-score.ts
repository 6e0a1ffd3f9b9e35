/** How a model fares on validation rows. */
export interface ExpertScore {
  /** Mean cross-entropy of the right answers' tokens, in nats. */
  readonly loss: number;
  /** Share of rows answered right by rank classification, 0 to 1; only where all rows have choices. */
  readonly accuracy?: number;
}

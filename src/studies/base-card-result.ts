import type { Arm, Trained } from "./arm.js";

/** How the card's expert is trained, and what is tried for every arm. */
export interface CardRecipe {
  readonly delta: Exclude<Trained, "full">;
  readonly steps: number;
  readonly loss: Arm["loss"];
  /** Learning rates that are tried: absolute ones for the delta, relative ones for all weights. */
  readonly learningRates: { readonly delta: readonly number[]; readonly full: readonly number[] };
}

/** The recipe of `bases/cadre-mini`'s card. */
export const cardRecipe: CardRecipe = {
  delta: "lora",
  steps: 200,
  loss: "tokens and choices",
  learningRates: { delta: [1e-3, 2e-3, 5e-4], full: [0.01, 0.003, 0.03] },
};

/** The systems that are trained. */
export const cardArms = ["expert on the base", "all weights from random", "adapters on frozen random weights"] as const;

/** One of them. */
export type CardArm = (typeof cardArms)[number];

/** What an arm reached on a set. */
export interface CardArmResult {
  /** The one chosen on validation rows. */
  readonly learningRate: number;
  /** For every seed and test row, 1 where the answer is right. */
  readonly correct: readonly (readonly number[])[];
}

/** What was found for a set. */
export interface CardResult {
  readonly set: string;
  readonly choices: number;
  readonly trainRows: number;
  readonly arms: Readonly<Record<CardArm, CardArmResult>>;
  readonly bagOfWords: readonly number[];
  readonly majority: readonly number[];
}

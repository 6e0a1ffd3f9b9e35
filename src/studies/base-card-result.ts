import { type Arm, LEARNING_RATES, type Trained } from "./arm.js";

/** How the card's arms are trained, and what is tried for every arm. */
export interface CardRecipe {
  /** What an expert is: what the recipe `mini` trains. */
  readonly expert: Trained;
  /** What is trained on frozen random weights. */
  readonly adapter: Exclude<Trained, "full">;
  /** Numbers of steps after which all are compared. */
  readonly steps: readonly number[];
  readonly loss: Arm["loss"];
  /** Learning rates that are tried, as many for each. */
  readonly learningRates: Readonly<Record<Trained, readonly number[]>>;
}

/** The recipe of `bases/cadre-mini`'s card. */
export const cardRecipe: CardRecipe = {
  expert: "full",
  adapter: "lora",
  steps: [60, 100],
  loss: "tokens and choices",
  learningRates: LEARNING_RATES,
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

/** What was found for a set after a number of steps. */
export interface CardResult {
  readonly set: string;
  readonly choices: number;
  readonly trainRows: number;
  readonly arms: Readonly<Record<CardArm, CardArmResult>>;
  readonly bagOfWords: readonly number[];
  readonly majority: readonly number[];
}

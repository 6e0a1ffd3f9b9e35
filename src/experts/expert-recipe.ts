import * as z from "zod";
import type { Delta } from "../models/delta.js";
import type { HookPoints } from "../models/hooks.js";
import { adafactor, adafactorPresets } from "../training/optimizers/adafactor.js";
import { adamW } from "../training/optimizers/adamw.js";
import type { Optimizer } from "../training/optimizers/optimizer.js";
import { createDelta, type DeltaConfig } from "./delta-config.js";
import { ia3ConfigSchema } from "./ia3.js";
import { loraConfigSchema } from "./lora.js";

const count = z.int().positive();
const weight = z.number().nonnegative();

/** What is trained: all weights, or a delta on frozen ones. A bottleneck's width is the model's divided by `reduction`. */
const trainedSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("full") }),
  z.strictObject({ kind: z.literal("lora"), config: loraConfigSchema }),
  z.strictObject({ kind: z.literal("ia3"), config: ia3ConfigSchema }),
  z.strictObject({ kind: z.literal("bottleneck"), config: z.strictObject({ reduction: count }) }),
]);

/** What of an example goes into a step. */
const batchSchema = z.strictObject({
  /** Examples of one batch; where they are packed, on average. */
  rows: count,
  /** Most input tokens of an example, end token included; longer inputs are cut and counted. */
  inputLength: count,
  /** Most tokens of an example's answer, or of all its choices together where the loss over choices counts. */
  targetLength: count,
  /** Several examples in a row where they fit: fewer paddings, the same losses. */
  pack: z.boolean(),
  /** Batches whose gradients make one step. */
  accumulate: count,
});

/** Weights of the loss over the answer's tokens and of the loss over a task's choices. */
const lossesSchema = z.strictObject({ tokens: weight, choices: weight });

/** Fields of a recipe, without the rules between them: what a partial one may hold. */
const fields = {
  delta: trainedSchema,
  learningRate: z.number().positive(),
  /** AdamW of PyTorch without weight decay; Adafactor as in T5X (rates relative to the weights) or in transformers (absolute ones). */
  optimizer: z.enum(["adamw", "adafactor-t5x", "adafactor-transformers"]),
  schedule: z.enum(["constant", "linear", "cosine", "inverse-sqrt"]),
  warmupSteps: z.int().nonnegative(),
  /** Length of the training in steps, or else in passes over the training rows. */
  steps: count.optional(),
  epochs: z.number().positive().optional(),
  /** Ends the training after so many validations in a row that were not the best; without it, it runs to its last step. */
  patience: count.optional(),
  /** Largest norm of all gradients together. */
  clipNorm: z.number().positive(),
  dropout: z.number().min(0).lt(1),
  /** Compute blocks again for the backward pass instead of keeping them: less memory, about a third more time. */
  recompute: z.boolean(),
  /** Decides starting values, the order of the rows, dropout, and which rows are kept for validation. */
  seed: z
    .int()
    .min(0)
    .max(2 ** 32 - 1),
  /** Most rows of a task that are trained on. */
  maxRows: count,
};

/** Schema of how an expert is trained. */
export const expertRecipeSchema = z
  .strictObject({ ...fields, batch: batchSchema, losses: lossesSchema })
  .refine(({ steps, epochs }) => (steps === undefined) !== (epochs === undefined), {
    path: ["steps"],
    error: "expected either steps or epochs",
  })
  .refine(({ warmupSteps, steps }) => warmupSteps <= (steps ?? Number.POSITIVE_INFINITY), {
    path: ["warmupSteps"],
    error: "expected at most as many as steps; give fewer",
  })
  .refine(({ losses }) => losses.tokens + losses.choices > 0, { path: ["losses"], error: "expected a weight above 0" });

/** Schema of what a user changes of a recipe. */
export const expertOverridesSchema = z
  .strictObject({ ...fields, batch: batchSchema.partial(), losses: lossesSchema.partial() })
  .partial();

/** How an expert is trained. */
export type ExpertRecipe = z.output<typeof expertRecipeSchema>;

/** What a user changes of a recipe: a `delta` as a whole, `batch` and `losses` field by field; `steps` replaces `epochs` and the other way round. */
export type ExpertOverrides = z.output<typeof expertOverridesSchema>;

/** Name of one of `expertRecipes`. */
export type ExpertRecipeName = "elm" | "mini";

/** How a kind of delta is trained. */
type DeltaSettings = Pick<ExpertRecipe, "delta" | "learningRate" | "optimizer">;

/**
 * What is trained on a small base, by its kind: the shapes and rates that `cadre study learnability` found for cadre-mini. The rate of all
 * weights is relative to their size.
 */
export const smallBaseDeltas: Readonly<Record<ExpertRecipe["delta"]["kind"], DeltaSettings>> = {
  full: { delta: { kind: "full" }, learningRate: 1e-2, optimizer: "adafactor-t5x" },
  lora: {
    delta: {
      kind: "lora",
      config: {
        rank: 16,
        alpha: 32,
        rankStabilized: false,
        targets: ["q", "k", "v", "o", "wi_0", "wi_1", "wo", "encoder.embed_tokens"],
      },
    },
    learningRate: 2e-3,
    optimizer: "adamw",
  },
  bottleneck: {
    delta: { kind: "bottleneck", config: { reduction: 8 } },
    learningRate: 3e-3,
    optimizer: "adamw",
  },
  ia3: {
    delta: { kind: "ia3", config: { targets: ["k", "v", "wo"], feedForwardTargets: ["wo"] } },
    learningRate: 1e-2,
    optimizer: "adamw",
  },
};

/** The recipes that have a name. */
export const expertRecipes: Readonly<Record<ExpertRecipeName, z.input<typeof expertRecipeSchema>>> = {
  /**
   * ELM's prompt expert (Jang et al. 2023), the settings of most of its 296 configurations (joeljang/ELM@27fc2a3). What those leave to the
   * Trainer of transformers 4.6: AdamW without decay, linear decay, clipping at 1; dropout is that of the base's configuration.
   */
  elm: {
    delta: { kind: "bottleneck", config: { reduction: 32 } },
    learningRate: 1e-4,
    optimizer: "adamw",
    schedule: "linear",
    warmupSteps: 0,
    epochs: 5,
    batch: { rows: 8, inputLength: 256, targetLength: 128, pack: false, accumulate: 1 },
    losses: { tokens: 1, choices: 0 },
    clipNorm: 1,
    dropout: 0.1,
    recompute: false,
    seed: 42,
    maxRows: 50_000,
  },
  /**
   * For small bases such as cadre-mini, as the learnability study chose (docs/results/learnability.md): all weights are trained, since
   * adapters of such a base learn far less in as many steps; an expert takes 2 bytes a weight.
   */
  mini: {
    ...smallBaseDeltas.full,
    schedule: "constant",
    warmupSteps: 10,
    steps: 100,
    batch: { rows: 32, inputLength: 512, targetLength: 1024, pack: true, accumulate: 1 },
    losses: { tokens: 1, choices: 1 },
    clipNorm: 1,
    dropout: 0,
    recompute: false,
    seed: 1,
    maxRows: 50_000,
  },
};

/**
 * A named recipe with a user's changes, not yet checked: give it to `expertRecipeSchema`. Another kind of delta in `mini` brings its own rate
 * and optimizer, as those of all weights do not suit it.
 */
export function withOverrides(name: ExpertRecipeName, overrides: ExpertOverrides): Record<string, unknown> {
  const { steps, epochs, ...recipe } = expertRecipes[name];
  const kind = overrides.delta?.kind;
  const { learningRate, optimizer } = name === "mini" && kind !== undefined ? smallBaseDeltas[kind] : recipe;
  const length =
    overrides.steps === undefined && overrides.epochs === undefined
      ? { ...(steps === undefined ? {} : { steps }), ...(epochs === undefined ? {} : { epochs }) }
      : {};
  return {
    ...recipe,
    ...{ learningRate, optimizer },
    ...length,
    ...overrides,
    batch: { ...recipe.batch, ...overrides.batch },
    losses: { ...recipe.losses, ...overrides.losses },
  };
}

/** The configuration of a recipe's delta on a model; undefined where all weights are trained. */
export function deltaConfigOf({ delta }: Pick<ExpertRecipe, "delta">, points: HookPoints): DeltaConfig | undefined {
  switch (delta.kind) {
    case "full":
      return undefined;
    case "bottleneck": {
      const width = Math.max(1, Math.floor((points.subLayers[0]?.width ?? 0) / delta.config.reduction));
      return { kind: "bottleneck", config: { width } };
    }
    default:
      return delta;
  }
}

/** The delta of a recipe on a model; undefined where all weights are trained. @throws CadreError `invalid-argument` where it does not fit. */
export function deltaOf(recipe: Pick<ExpertRecipe, "delta">, points: HookPoints): Delta | undefined {
  const config = deltaConfigOf(recipe, points);
  return config === undefined ? undefined : createDelta(config, points);
}

/** The optimizer of a recipe. */
export function optimizerOf({ optimizer }: Pick<ExpertRecipe, "optimizer">): Optimizer {
  switch (optimizer) {
    case "adamw":
      return adamW();
    case "adafactor-t5x":
      return adafactor(adafactorPresets.t5x);
    case "adafactor-transformers":
      return adafactor(adafactorPresets.transformers);
  }
}

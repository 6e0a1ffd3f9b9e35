import * as z from "zod";
import { CadreError } from "../core/errors.js";
import { nearMiss } from "../core/near-miss.js";
import { describeProblems, parseConfig } from "../core/parse-config.js";
import {
  type ExpertRecipe,
  expertOverridesSchema,
  expertRecipeSchema,
  expertRecipes,
  withOverrides,
} from "../experts/expert-recipe.js";

/** Share of a task's rows that is kept for validation where the recipe does not say. */
const VALIDATION_SHARE = 0.1;

const recipeSchema = z
  .strictObject({
    format: z.literal("cadre-training"),
    formatVersion: z.literal(1).default(1),
    /** Folder, `cadre-mini`, or Hub id; the command's `--base` comes before it. */
    base: z.string().min(1).optional(),
    /** File of the task: `.json` with Definition and Instances, or a data file with input and target (see docs/your-data.md); relative to the recipe. */
    task: z.string().min(1).optional(),
    /** Name of a generated task, instead of a file. */
    generated: z.string().min(1).optional(),
    /** The answers to choose from, where the file's rows do not say; `answers`: all answers that occur in it. */
    choices: z
      .union([z.literal("answers"), z.array(z.string().min(1)).min(2)], {
        error: 'expected a list of at least two answers, or "answers" for all that occur in the file',
      })
      .optional(),
    /** Share of the rows, or a file of its own, relative to the recipe. Without a file, rows that name their `split` are divided so. */
    validation: z
      .union([z.number().gt(0).lt(1), z.string().min(1)], {
        error: "expected a share of the rows above 0 and below 1, or the path of a file",
      })
      .default(VALIDATION_SHARE),
    /** How the expert is trained. */
    recipe: z.enum(["mini", "elm"]),
    /** Changes of it. */
    overrides: expertOverridesSchema.default({}),
    /** Folder of the finished expert, relative to the recipe; default `expert` in the folder of the run. */
    output: z.string().min(1).optional(),
    /** Steps between validations, each with a checkpoint if it is the best; default a fifth of the training. */
    validationSteps: z.int().positive().optional(),
    /** Steps between checkpoints; default a fifth of the training. */
    checkpointSteps: z.int().positive().optional(),
  })
  .refine(({ task, generated }) => (task === undefined) !== (generated === undefined), {
    path: ["task"],
    error: "expected either task (a file) or generated (a name)",
  })
  .refine(({ choices, generated }) => choices === undefined || generated === undefined, {
    path: ["choices"],
    error: "expected none beside a generated task, which brings its own",
  })
  .refine(({ validation, generated }) => typeof validation === "number" || generated === undefined, {
    path: ["validation"],
    error: "expected a share beside a generated task",
  });

/** What one expert is trained on and how; the content of a recipe for `cadre train`. */
export interface TrainingRecipe extends Omit<z.output<typeof recipeSchema>, "overrides"> {
  /** `recipe` with its overrides. */
  readonly expert: ExpertRecipe;
}

/** All keys that a recipe may hold somewhere, for suggestions. */
const KNOWN_KEYS = new Set([
  ...Object.keys(recipeSchema.shape),
  ...Object.values(expertRecipes).flatMap((recipe) => [
    ...Object.keys(recipe),
    ...Object.keys(recipe.batch),
    ...Object.keys(recipe.losses),
    ...("config" in recipe.delta ? Object.keys(recipe.delta.config) : []),
  ]),
  "config",
]);

/**
 * @throws CadreError `invalid-config` naming every field that is wrong, with the likely meaning of unknown ones; `unsupported` for a newer
 * format version.
 */
export function parseTrainingRecipe(value: unknown, where: string): TrainingRecipe {
  const version = z.looseObject({ formatVersion: z.number() }).safeParse(value);
  if (version.success && version.data.formatVersion > 1) {
    throw new CadreError(
      "unsupported",
      `${where}: expected format version 1, got ${version.data.formatVersion}; update cadre`,
    );
  }
  const parsed = recipeSchema.safeParse(value);
  if (!parsed.success) {
    throw new CadreError(
      "invalid-config",
      [
        `${where}: expected a recipe of cadre train:`,
        describeProblems(parsed.error),
        ...suggestions(parsed.error),
      ].join("\n"),
    );
  }
  const { overrides, ...recipe } = parsed.data;
  const expert = parseConfig(expertRecipeSchema, withOverrides(recipe.recipe, overrides), {
    where: `${where}: recipe ${recipe.recipe} with its overrides`,
    code: "invalid-config",
  });
  return { ...recipe, expert };
}

function suggestions({ issues }: z.ZodError): string[] {
  return issues
    .flatMap((issue) => (issue.code === "unrecognized_keys" ? issue.keys : []))
    .flatMap((key) => {
      const meant = nearMiss(key, KNOWN_KEYS);
      return meant === undefined || meant === key ? [] : [`did you mean "${meant}" by "${key}"?`];
    });
}

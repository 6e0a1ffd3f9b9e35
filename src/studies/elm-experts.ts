import { CadreError } from "../core/errors.js";
import type { TrainedSystem } from "../evaluation/trained-system.js";
import type { smallBaseDeltas } from "../experts/expert-recipe.js";
import type { UserTask } from "../tasks/user-task.js";
import type { ElmContext, ElmTrained, ElmTraining } from "./elm-context.js";
import { elmRecipe } from "./elm-settings.js";

/** The models of one seed. */
export interface ElmModels {
  /** An expert for each template, and the multitask models. */
  readonly prompt: ElmTrained & { readonly multitask: TrainedSystem; readonly multitaskOneBudget: TrainedSystem };
  /** An expert for each data set, with the steps of its prompt experts together. */
  readonly sets: ElmTrained;
}

/** Templates of a task are trained on together for as many steps as one after the other. */
export function stepsOf(task: Pick<UserTask, "templates">, promptSteps: number): number {
  return promptSteps * task.templates.length;
}

/**
 * Trains the experts of a seed. The multitask model has the rows and the sum of the steps of all prompt experts, which is that of all experts of data sets.
 * @throws CadreError `invalid-argument` where a task cannot be trained: the comparison needs all.
 */
export async function trainElmModels(context: ElmContext, seed: number): Promise<ElmModels> {
  const { tasks, settings } = context;
  const prompt = await trainElm(context, {
    seed,
    name: "prompt-experts",
    tasks: tasks.train,
    steps: settings.promptSteps,
    mode: "both",
    per: "template",
  });
  const { multitask, multitaskOneBudget } = prompt;
  if (multitask === undefined || multitaskOneBudget === undefined) {
    throw new CadreError("internal", "elm: expected both multitask models");
  }
  return {
    prompt: { ...prompt, multitask, multitaskOneBudget },
    sets: await trainSets(context, { seed, kind: "full" }),
  };
}

/** Trains an expert for each of some data sets. */
export async function trainSets(
  context: ElmContext,
  options: {
    readonly seed: number;
    readonly kind: keyof typeof smallBaseDeltas;
    readonly tasks?: readonly UserTask[];
  },
): Promise<ElmTrained> {
  const { seed, kind, tasks = context.tasks.train } = options;
  const [first] = tasks;
  return trainElm(context, {
    ...{ seed, kind, tasks, mode: "experts", per: "task" },
    name: kind === "full" ? "set-experts" : `set-experts-${kind}`,
    steps: stepsOf(first ?? { templates: [] }, context.settings.promptSteps),
  });
}

/** One call of the trainer, with a library of its own. @throws CadreError `invalid-argument` where a task fails. */
export async function trainElm(
  context: ElmContext,
  options: Pick<ElmTraining, "tasks" | "mode" | "per"> & {
    readonly seed: number;
    /** Of the library's folder. */
    readonly name: string;
    readonly steps: number;
    readonly kind?: keyof typeof smallBaseDeltas;
    /** Default: the study's base. */
    readonly base?: ElmTraining["base"];
  },
): Promise<ElmTrained> {
  const { seed, name, steps, kind, tasks, mode, per } = options;
  const base = options.base ?? { name: context.baseName, folder: context.baseFolder };
  const own = `${context.folder}/seed-${seed}/${name}`;
  context.onProgress(`seed ${seed}: training ${name}`);
  const trained = await context.train({
    ...{ base, tasks, mode, per },
    library: `${own}/library`,
    runFolder: `${own}/run`,
    recipe: elmRecipe(context.settings, { seed, steps, ...(kind === undefined ? {} : { kind }) }),
  });
  const [failed] = trained.failed;
  if (failed !== undefined) {
    throw new CadreError(
      "invalid-argument",
      `elm: ${failed.task}: expected an expert, as the comparison needs all: ${failed.reason}`,
    );
  }
  return trained;
}

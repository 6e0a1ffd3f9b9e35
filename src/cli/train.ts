import { stat } from "node:fs/promises";
import { basename, dirname, extname, join, relative, resolve } from "node:path";
import { stringify } from "yaml";
import type { ExpertScore } from "../cadre/expert-score.js";
import { type ExpertPlan, planExpert } from "../cadre/node/expert-plan.js";
import type { ExpertSources } from "../cadre/node/expert-setup.js";
import { EXPECTED_SHARE } from "../cadre/node/pretraining-plan.js";
import { type TrainExpertEvent, type TrainExpertResult, trainExpert } from "../cadre/node/train-expert.js";
import { parseTrainingRecipe } from "../cadre/training-recipe.js";
import { CadreError } from "../core/errors.js";
import { readYaml } from "../core/node/yaml.js";
import type { HubEvent } from "../models/node/hub-snapshot.js";
import { PACKAGED_BASE, resolveBase } from "../models/node/resolve-base.js";
import { openDevice } from "../runtime/node/open-device.js";
import type { StepEndEvent } from "../training/events.js";
import { describeMemory } from "./describe-memory.js";
import { duration } from "./duration.js";
import { resumable } from "./interruptible.js";
import { deviceOptions, offlineOption } from "./options.js";
import { type Progress, startProgress } from "./progress.js";
import { type TrainTasksOptions, trainTasks } from "./train-tasks.js";

/** Steps over which loss and speed are averaged for the progress display. */
const AVERAGED_STEPS = 20;

/** Endings of recipes. */
const RECIPE_ENDINGS: ReadonlySet<string> = new Set([".yaml", ".yml"]);
/** Options that go with a recipe, which says the rest itself. */
const RECIPE_OPTIONS: ReadonlySet<string> = new Set(["base", "run", "dryRun", "offline", "device", "threads", "json"]);

/** `cadre train PATH…`: a `.yaml` is a recipe, everything else is tasks. */
export async function trainCommand(paths: readonly string[], options: TrainTasksOptions): Promise<void> {
  const recipes = paths.filter((path) => RECIPE_ENDINGS.has(extname(path).toLowerCase()));
  const [recipe] = recipes;
  if (recipe === undefined) {
    await trainTasks(paths, options);
    return;
  }
  if (paths.length > 1) {
    throw new CadreError(
      "invalid-argument",
      `train: expected one recipe, or paths of tasks, got the recipe ${recipe} beside ${paths.length - 1} more`,
    );
  }
  const foreign = Object.keys(options).find((name) => !RECIPE_OPTIONS.has(name));
  if (foreign !== undefined) {
    const flag = foreign.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new CadreError(
      "invalid-argument",
      `train: --${flag} goes with paths of tasks, and ${recipe} is a recipe, which says everything itself; write it there`,
    );
  }
  await trainRecipe(recipe, options);
}

async function trainRecipe(recipePath: string, options: TrainTasksOptions): Promise<void> {
  const where = deviceOptions(options);
  const json = options.json ?? false;
  const recipe = parseTrainingRecipe(await readYaml(recipePath), recipePath);
  const recipeFolder = dirname(resolve(recipePath));
  const runFolder = options.run ?? join("runs", basename(recipePath, extname(recipePath)));
  const outputFolder =
    recipe.output === undefined ? resolve(runFolder, "expert") : resolve(recipeFolder, recipe.output);
  const display = createDisplay(json);
  await resumable(display, {
    goesOn: `the same command goes on from there (${runFolder})`,
    async work(signal) {
      const wanted = options.base ?? (await recipeBase(recipe.base, recipeFolder));
      const baseFolder = await resolveBase(wanted, {
        ...offlineOption(options),
        signal,
        onProgress: display.onDownload,
      });
      display.stop();
      const sources: ExpertSources = { recipe: { ...recipe, base: wanted }, recipeFolder, baseFolder };
      await using device = await openDevice(where);
      if (options.dryRun === true) {
        const plan = await planExpert(sources, device);
        console.log(json ? JSON.stringify(plan, null, 2) : describePlan(plan));
        return;
      }
      const result = await trainExpert({
        ...sources,
        device,
        baseName: resolve(wanted) === baseFolder ? baseFolder : wanted,
        runFolder,
        outputFolder,
        signal,
        onEvent: display.onEvent,
      });
      display.stop();
      console.log(json ? JSON.stringify(result, null, 2) : describeResult(result));
    },
  });
}

/** A recipe names a folder beside itself, or whatever `--base` takes. */
async function recipeBase(base: string | undefined, recipeFolder: string): Promise<string> {
  if (base === undefined) {
    return PACKAGED_BASE;
  }
  const beside = resolve(recipeFolder, base);
  const found = await stat(beside).catch(() => undefined);
  return found?.isDirectory() === true || base.startsWith(".") ? beside : base;
}

function describePlan(plan: ExpertPlan): string {
  const { recipe, shape, memory } = plan;
  const { expert, ...rest } = recipe;
  const indented = stringify({ ...rest, expert })
    .trimEnd()
    .replace(/^/gm, "  ");
  return [
    `recipe\n${indented}`,
    `data       ${plan.trainRows} rows to train on, ${plan.validationRows} for validation; ${plan.inputTokens} input and ${plan.targetTokens} target tokens${plan.truncatedRows > 0 ? `; ${plan.truncatedRows} rows are cut` : ""}`,
    `model      ${(plan.parameters / 1e6).toFixed(2)} M parameters, ${(plan.trainedParameters / 1e6).toFixed(2)} M trained`,
    `steps      ${plan.steps} of ${(plan.flopsPerStep / 1e9).toFixed(1)} GFLOP, ${(plan.flops / 1e12).toFixed(2)} TFLOP in all; a batch is ${shape.rows} × ${shape.inputLength} input and ${shape.rows} × ${shape.targetLength} target tokens`,
    `memory     ${describeMemory(memory, plan.availableBytes)}`,
    `estimate   ${duration(plan.seconds)} of steps at ${(100 * EXPECTED_SHARE).toFixed(0)} % of the ${plan.gemmPeak.toFixed(0)} GFLOP/s that matrix products reach here now; scoring not counted`,
    "dry run: nothing was trained",
  ].join("\n");
}

function describeResult(result: TrainExpertResult): string {
  const { base, expert, majority, chance, validationRows } = result;
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  const folder = relative("", result.outputFolder);
  const lines =
    base.accuracy === undefined || expert.accuracy === undefined
      ? [`loss       base ${base.loss.toFixed(3)} → expert ${expert.loss.toFixed(3)} on ${validationRows} rows`]
      : [
          `accuracy   base ${percent(base.accuracy)} → expert ${percent(expert.accuracy)} on ${validationRows} rows${
            majority === undefined || chance === undefined
              ? ""
              : `; always the commonest label ${percent(majority)}, guessing ${percent(chance)}`
          }`,
        ];
  return [
    ...lines,
    "           one seed; the best validation on these rows was chosen, so expect a little less on others",
    `expert     ${folder.startsWith("..") ? result.outputFolder : folder}`,
  ].join("\n");
}

/** Progress on stderr, facts on stdout unless that is for JSON. */
function createDisplay(json: boolean) {
  let progress: Progress | undefined;
  let file = "";
  let total = 0;
  let step: number | undefined;
  let recent: StepEndEvent[] = [];
  let validation = "";
  let hasChoices = false;
  const say = json ? console.error : console.log;
  const stop = (): void => {
    progress?.stop();
    progress = undefined;
  };
  const describe = ({ accuracy, loss }: ExpertScore): string =>
    accuracy === undefined ? `loss ${loss.toFixed(3)}` : `accuracy ${(100 * accuracy).toFixed(1)} %`;
  const onDownload = (event: HubEvent): void => {
    if (event.type !== "download") {
      stop();
      console.error(`${event.repository}: ${event.reason}`);
      return;
    }
    if (event.file !== file) {
      stop();
      file = event.file;
    }
    progress ??= startProgress({ title: event.file, total: Math.max(1, event.totalBytes) });
    progress.update(event.doneBytes, event.repository);
  };
  const onEvent = (event: TrainExpertEvent): void => {
    switch (event.type) {
      case "data-ready":
        hasChoices = event.hasChoices;
        say(`data       ${event.name}: ${event.trainRows} rows to train on, ${event.validationRows} for validation`);
        if (event.repeatedRows + event.rowsOverLimit + event.truncatedRows > 0) {
          say(
            `           left out: ${event.repeatedRows} rows that are validation rows too, ${event.rowsOverLimit} above maxRows; ${event.truncatedRows} rows are cut`,
          );
        }
        break;
      case "base-scored":
        say(`base       ${describe(event.score)} on the validation rows`);
        break;
      case "training-start":
        total = event.steps;
        step = event.step;
        for (const message of event.damagedCheckpoints) {
          console.error(`passed over: ${message}`);
        }
        say(
          `model      ${(event.parameters / 1e6).toFixed(2)} M parameters, ${(event.trainedParameters / 1e6).toFixed(2)} M trained; ${event.steps} steps of ${(event.flopsPerStep / 1e9).toFixed(1)} GFLOP${event.step > 0 ? `; goes on from step ${event.step}` : ""}`,
        );
        progress = startProgress({ title: "training", total });
        break;
      case "step-end": {
        step = event.step;
        recent = [...recent.slice(1 - AVERAGED_STEPS), event];
        const seconds = recent.reduce((sum, one) => sum + one.seconds, 0) / recent.length;
        const loss = recent.reduce((sum, one) => sum + one.loss, 0) / recent.length;
        progress?.update(
          step,
          `step ${step}  loss ${loss.toFixed(3)}${validation}  ${duration((total - step) * seconds)} left`,
        );
        break;
      }
      case "validation-end":
        validation = hasChoices
          ? `  validation ${(100 * event.score).toFixed(1)} %`
          : `  validation ${(-event.score).toFixed(3)}`;
        break;
      default:
        break;
    }
  };
  const where = (): string => (step === undefined ? "before the first step" : `at step ${step} of ${total}`);
  return { onDownload, onEvent, stop, where };
}

import { relative } from "node:path";
import type { LibraryPlan } from "../cadre/node/library-plan.js";
import { planLibrary } from "../cadre/node/library-plan.js";
import { type TrainExpertsOptions, type TrainExpertsReport, trainExperts } from "../cadre/node/train-experts.js";
import { CadreError, EXIT_CODES } from "../core/errors.js";
import { parseConfig } from "../core/parse-config.js";
import {
  type ExpertOverrides,
  type ExpertRecipe,
  type ExpertRecipeName,
  expertRecipeSchema,
  expertRecipes,
  smallBaseDeltas,
  withOverrides,
} from "../experts/expert-recipe.js";
import { PACKAGED_BASE, resolveBase } from "../models/node/resolve-base.js";
import { comparisonReport } from "../report/comparison-report.js";
import { renderText } from "../report/render-text.js";
import { openDevice } from "../runtime/node/open-device.js";
import { readUserTasks, type UserTasks } from "../tasks/node/read-user-tasks.js";
import { printable } from "../tasks/row-values.js";
import { countProblems } from "../tasks/user-task.js";
import { gibibytes } from "./describe-memory.js";
import { duration } from "./duration.js";
import { resumable } from "./interruptible.js";
import { choiceOption, deviceOptions, numberOption, offlineOption } from "./options.js";
import { createTrainTasksDisplay } from "./train-tasks-display.js";
import { type ReadingFlags, readingOptions } from "./train-tasks-reading.js";

/** Weights of a base up to which an expert of all weights is no burden: 100 MB in 16 bits. */
const MOST_SMALL_PARAMETERS = 50e6;

/** Options of `cadre train PATH…`, as commander gives them. */
export interface TrainTasksOptions extends ReadingFlags {
  readonly library?: string;
  readonly base?: string;
  readonly recipe?: string;
  readonly delta?: string;
  readonly steps?: string;
  readonly seed?: string;
  readonly mode?: string;
  readonly per?: string;
  readonly keyTexts?: boolean;
  readonly replace?: boolean;
  readonly strict?: boolean;
  readonly run?: string;
  readonly dryRun?: boolean;
  readonly offline?: boolean;
  readonly device?: string;
  readonly threads?: string;
  readonly json?: boolean;
}

/** `cadre train PATH…`: one expert for each task, a multitask model beside them, and the table that compares them. */
export async function trainTasks(paths: readonly string[], options: TrainTasksOptions): Promise<void> {
  const reading = readingOptions("train", paths, options);
  const where = deviceOptions(options);
  const mode = choiceOption("mode", options.mode ?? "both", ["experts", "multitask", "both"]);
  const per = choiceOption("per", options.per ?? "task", ["task", "template"]);
  const recipe = recipeOf(options);
  const { library } = options;
  if (library === undefined) {
    throw new CadreError(
      "invalid-argument",
      `train: expected --library FOLDER for the experts of ${paths.join(", ")}, got none`,
    );
  }
  const json = options.json ?? false;
  const display = createTrainTasksDisplay({ json });
  await resumable(display, {
    goesOn: "the same command goes on from there",
    async work(signal) {
      const read = await readUserTasks(paths, {
        ...reading,
        ...(options.strict === undefined ? {} : { strict: options.strict }),
        seed: recipe.seed,
        signal,
      });
      display.onTasks(read);
      const name = options.base ?? PACKAGED_BASE;
      const offline = offlineOption(options);
      const folder = await resolveBase(name, { ...offline, signal, onProgress: display.onEvent });
      await using device = await openDevice(where);
      const plan = await planLibrary({ tasks: read.tasks, base: { folder }, recipe, mode, per, device, signal });
      if (options.dryRun === true) {
        display.stop();
        console.log(json ? JSON.stringify({ recipe, plan }, null, 2) : describePlan(plan, { read, recipe }));
        return;
      }
      display.say(estimateLine(plan));
      const advice = adviceOf(plan, recipe);
      if (advice !== undefined) display.say(advice);
      const settings: TrainExpertsOptions = {
        library,
        base: name,
        recipe,
        mode,
        per,
        replace: options.replace ?? false,
        strict: options.strict ?? false,
        keyTexts: options.keyTexts === true ? "stored" : "none",
        ...(options.run === undefined ? {} : { runFolder: options.run }),
        ...offline,
        device,
        signal,
        onEvent: display.onEvent,
      };
      const report = await trainExperts(read.tasks, settings);
      display.stop();
      finish(
        {
          ...report,
          failed: [...read.failed.map((task) => ({ task: task.name, reason: task.reason })), ...report.failed],
        },
        json,
      );
    },
  });
}

/** Prints what came of it; exit code 3 where a task has no expert. */
function finish(report: TrainExpertsReport, json: boolean): void {
  const { library, failed, judged, experts, seconds, runFolder } = report;
  if (failed.length > 0) process.exitCode = EXIT_CODES.input;
  if (json) {
    const { comparison, resultsFile, page } = judged ?? {};
    console.log(
      JSON.stringify({ library, runFolder, experts, failed, comparison, resultsFile, page, seconds }, null, 2),
    );
    return;
  }
  if (judged !== undefined) {
    console.log(`\n${renderText(comparisonReport(judged.comparison, { title: "What your tasks gain" }))}`);
  }
  for (const { task, reason } of failed) console.error(printable(`no expert: ${task}: ${reason}`));
  console.log(`library    ${shown(library)} (${experts.length} of these tasks; cadre experts list ${shown(library)})`);
  if (judged !== undefined) console.log(`page       ${shown(judged.page)}\nanswers    ${shown(judged.resultsFile)}`);
  console.log(`time       ${duration(seconds)}`);
}

/** A path as a person would type it. */
function shown(path: string): string {
  const near = relative("", path);
  return near === "" ? "." : near.startsWith("..") ? path : near;
}

/** @throws CadreError `invalid-argument` */
function recipeOf({ recipe, delta, steps, seed }: TrainTasksOptions): ExpertRecipe {
  const names = Object.keys(expertRecipes) as ExpertRecipeName[];
  const kinds = Object.keys(smallBaseDeltas) as ExpertRecipe["delta"]["kind"][];
  const name = choiceOption("recipe", recipe ?? "mini", names);
  const overrides: ExpertOverrides = {
    ...(delta === undefined ? {} : smallBaseDeltas[choiceOption("delta", delta, kinds)]),
    ...(steps === undefined
      ? {}
      : { steps: numberOption("steps", steps, { minimum: 1, maximum: 1e9, integer: true }) }),
    ...(seed === undefined
      ? {}
      : { seed: numberOption("seed", seed, { minimum: 0, maximum: 2 ** 32 - 1, integer: true }) }),
  };
  const warmup =
    overrides.steps === undefined ? {} : { warmupSteps: Math.min(overrides.steps, expertRecipes[name].warmupSteps) };
  return parseConfig(expertRecipeSchema, withOverrides(name, { ...overrides, ...warmup }), {
    where: `train: recipe ${name}`,
    code: "invalid-argument",
  });
}

function estimateLine({ totals, experts, multitask, multitaskOneBudget }: LibraryPlan): string {
  const models = [multitask, multitaskOneBudget].filter((model) => model !== undefined).length;
  const what = [
    ...(experts.length === 0 ? [] : [`${experts.length} expert${experts.length === 1 ? "" : "s"}`]),
    ...(models === 0 ? [] : [`${models} multitask models`]),
  ].join(" and ");
  return `estimate   ${duration(totals.seconds)} of training for ${what} (${totals.steps} steps, ${(totals.flops / 1e12).toFixed(1)} TFLOP), about ${gibibytes(totals.peakBytes)} of memory; judging comes after`;
}

/** All weights of a large base for every task is rarely what a person wants. */
function adviceOf({ experts }: LibraryPlan, { delta }: ExpertRecipe): string | undefined {
  const parameters = experts[0]?.parameters ?? 0;
  return delta.kind === "full" && parameters > MOST_SMALL_PARAMETERS
    ? `advice     every expert holds all ${(parameters / 1e6).toFixed(0)} M weights of this base; --delta lora or --recipe elm makes small ones`
    : undefined;
}

function describePlan(
  plan: LibraryPlan,
  { read, recipe }: { readonly read: UserTasks; readonly recipe: ExpertRecipe },
): string {
  const all = [...plan.experts, ...[plan.multitask, plan.multitaskOneBudget].filter((model) => model !== undefined)];
  const nameWidth = Math.max(...all.map(({ task }) => task.length), 0);
  const bad = read.tasks.reduce((sum, task) => sum + countProblems(task), 0);
  const what = read.tasks.some(({ templates }) => templates.length > 1) ? "examples" : "rows";
  return [
    ...all.map(
      ({ task, trainRows, validationRows, steps, flops, seconds }) =>
        `${task.padEnd(nameWidth)}  ${trainRows} ${what} to train on, ${validationRows} for validation; ${steps} steps, ${(flops / 1e12).toFixed(2)} TFLOP, ${duration(seconds)}`,
    ),
    ...plan.failed.map(({ task, reason }) => `no expert: ${task}: ${reason}`),
    ...(bad > 0 ? [`${bad} bad rows are left out; cadre check shows them`] : []),
    `recipe     ${recipe.delta.kind}, learning rate ${recipe.learningRate}, ${recipe.batch.rows} rows a step`,
    estimateLine(plan),
    ...[adviceOf(plan, recipe)].filter((line) => line !== undefined),
    `memory     ${gibibytes(plan.availableBytes)} available${plan.totals.peakBytes > plan.availableBytes ? ": it would be refused" : ""}`,
    "dry run: nothing was trained",
  ].join("\n");
}

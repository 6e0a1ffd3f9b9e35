import { basename, dirname, extname, join, resolve } from "node:path";
import { type PretrainingEvent, pretrain } from "../cadre/node/pretrain.js";
import type { DataReadyEvent, PretrainingDataOptions } from "../cadre/node/pretraining-data.js";
import { EXPECTED_SHARE, planPretraining } from "../cadre/node/pretraining-plan.js";
import { parsePretrainingRecipe } from "../cadre/pretraining-recipe.js";
import { readYaml } from "../core/node/yaml.js";
import type { Device } from "../runtime/device.js";
import { openDevice } from "../runtime/node/open-device.js";
import type { StepEndEvent } from "../training/events.js";
import { describeMemory } from "./describe-memory.js";
import { duration } from "./duration.js";
import { interruptible } from "./interruptible.js";
import { deviceOptions, numberOption } from "./options.js";
import { type Progress, startProgress } from "./progress.js";

/** Steps over which loss and speed are averaged for the progress display. */
const AVERAGED_STEPS = 20;

/** What the command line passes. */
export interface PretrainCommandOptions {
  readonly run?: string;
  readonly minutes?: string;
  readonly device?: string;
  readonly threads?: string;
  readonly strict?: boolean;
  readonly dryRun?: boolean;
}

/** `cadre pretrain RECIPE.yaml`. */
export async function pretrainCommand(recipePath: string, options: PretrainCommandOptions): Promise<void> {
  const minutes =
    options.minutes === undefined
      ? undefined
      : numberOption("minutes", options.minutes, { minimum: 0.01, maximum: 1e6 });
  const where = deviceOptions(options);
  const recipe = parsePretrainingRecipe(await readYaml(recipePath), recipePath);
  const runFolder = options.run ?? join("runs", basename(recipePath, extname(recipePath)));
  const data: PretrainingDataOptions = {
    recipe,
    recipeFolder: dirname(resolve(recipePath)),
    runFolder,
    strict: options.strict ?? false,
  };
  await using device = await openDevice(where);
  if (options.dryRun === true) {
    await printPlan(data, device);
    return;
  }
  const display = createDisplay();
  try {
    const result = await interruptible((signal) =>
      pretrain({ ...data, device, minutes, signal, onEvent: display.onEvent }),
    );
    display.stop();
    console.log(
      `${result.finished ? "finished" : "stopped"} at step ${result.step} of ${recipe.steps}; the model as it is now: ${result.modelFolder}`,
    );
    if (!result.finished) {
      console.log(`the same command goes on from there`);
    }
  } finally {
    display.stop();
  }
}

async function printPlan(data: PretrainingDataOptions, device: Device): Promise<void> {
  const display = createDisplay();
  try {
    const plan = await planPretraining({ ...data, device, onEvent: display.onEvent });
    const { steps } = data.recipe;
    console.log(
      `model      ${(plan.parameters / 1e6).toFixed(2)} M parameters; ${steps} steps of ${(plan.flopsPerStep / 1e9).toFixed(0)} GFLOP, ${(plan.flops / 1e12).toFixed(1)} TFLOP in all`,
    );
    console.log(
      `tokens     at most ${(plan.inputTokens / 1e6).toFixed(2)} M input tokens seen, ${(plan.inputTokens / plan.data.textTokens).toFixed(1)} times those of the text`,
    );
    console.log(`memory     ${describeMemory(plan.memory, plan.availableBytes)}`);
    console.log(
      `estimate   ${duration(plan.seconds)} of training at ${(100 * EXPECTED_SHARE).toFixed(0)} % of the ${plan.gemmPeak.toFixed(0)} GFLOP/s that matrix products reach here now; validation not counted`,
    );
    console.log("dry run: nothing was trained");
  } finally {
    display.stop();
  }
}

function createDisplay() {
  let progress: Progress | undefined;
  let total = 0;
  let recent: StepEndEvent[] = [];
  let validationLoss = "";
  const stop = (): void => {
    progress?.stop();
    progress = undefined;
  };
  const onEvent = (event: PretrainingEvent): void => {
    switch (event.type) {
      case "reading":
        progress ??= startProgress({ title: "reading", total: Math.max(1, event.totalBytes) });
        progress.update(event.bytes, event.path);
        break;
      case "file-skipped":
        stop();
        console.error(`skipped ${event.path}: ${event.reason}`);
        break;
      case "data-ready":
        stop();
        printData(event);
        break;
      case "training-start":
        total = event.steps;
        recent = [];
        for (const message of event.damagedCheckpoints) {
          console.error(`passed over: ${message}`);
        }
        console.log(
          `model      ${(event.parameters / 1e6).toFixed(2)} M parameters; ${event.steps} steps of ${(event.flopsPerStep / 1e9).toFixed(0)} GFLOP${event.step > 0 ? `; goes on from step ${event.step}` : ""}`,
        );
        progress = startProgress({ title: "training", total });
        break;
      case "step-end": {
        recent = [...recent.slice(1 - AVERAGED_STEPS), event];
        const seconds = recent.reduce((sum, step) => sum + step.seconds, 0);
        const mean = (of: (step: StepEndEvent) => number): number => recent.reduce((sum, step) => sum + of(step), 0);
        const left = ((total - event.step) * seconds) / recent.length;
        progress?.update(
          event.step,
          `step ${event.step}  loss ${(mean(({ loss }) => loss) / recent.length).toFixed(3)}${validationLoss}  ${Math.round(mean(({ inputTokens }) => inputTokens) / seconds)} tokens/s  ${duration(left)} left`,
        );
        break;
      }
      case "validation-end":
        validationLoss = `  validation ${(-event.score).toFixed(3)}`;
        break;
      default:
        break;
    }
  };
  return { onEvent, stop };
}

function printData(event: DataReadyEvent): void {
  const dropped = Object.values(event.droppedParagraphs).reduce((sum, count) => sum + count, 0);
  console.log(
    `text       ${(event.textTokens / 1e6).toFixed(2)} M tokens, ${(event.validationTokens / 1e3).toFixed(0)} k of other texts for validation`,
  );
  console.log(`tasks      ${event.instructionInstances} instances of ${event.instructionTasks} instruction files`);
  if (dropped + event.droppedInstances + event.uncheckedFiles.length > 0) {
    console.log(
      `left out   ${dropped} paragraphs and ${event.droppedInstances} instances that overlap with held-out rows; ${event.uncheckedFiles.length} held-out files could not be compared (data.json names them)`,
    );
  }
}

import { join, relative } from "node:path";
import { type TrainExpertsReport, trainExperts } from "../cadre/node/train-experts.js";
import { CadreError } from "../core/errors.js";
import { writeFileAtomic } from "../core/node/atomic-write.js";
import { parseConfig } from "../core/parse-config.js";
import { quickstartResults } from "../evaluation/quickstart-results.js";
import { type ExpertRecipe, expertRecipeSchema, withOverrides } from "../experts/expert-recipe.js";
import { comparisonReport } from "../report/comparison-report.js";
import { renderText } from "../report/render-text.js";
import { openDevice } from "../runtime/node/open-device.js";
import { generatedUserTask } from "../tasks/generated/generated-user-task.js";
import { findGeneratedTask } from "../tasks/generated/index.js";
import type { UserTask } from "../tasks/user-task.js";
import { duration } from "./duration.js";
import { resumable } from "./interruptible.js";
import { numberOption, threadsOption } from "./options.js";
import { createTrainTasksDisplay } from "./train-tasks-display.js";

/** Tasks that get an expert; none of their text was in the base's pre-training. */
const SEEN = [
  "sentiment/museum-visits",
  "topic/club-bulletins",
  "topic/council-letters",
  "entailment/heights",
  "intent/bank-chat",
  "intent/library-desk",
  "intent/repair-orders",
  "extraction/lost-property",
];
/** Tasks without one: three that have the labels of a seen task, and one that no expert knows. */
const UNSEEN = ["topic/club-diaries", "intent/bank-letters", "intent/library-mail", "paraphrase/weather-notes"];
const ROWS = { train: 2000, validation: 100, test: 200 };
/** Fewer than the recipe's, so that nine models are trained and judged within five minutes on two cores. */
const STEPS = 30;

/** What the command line passes. */
export interface QuickstartOptions {
  readonly seed: string;
  readonly run: string;
  readonly threads?: string;
}

/** `cadre quickstart`: experts of generated tasks on the base that ships, and the table that compares them. */
export async function quickstart(options: QuickstartOptions): Promise<void> {
  const started = performance.now();
  const seed = numberOption("seed", options.seed, { minimum: 0, maximum: 2 ** 32 - 1, integer: true });
  const threads = threadsOption(options.threads);
  const tasksOf = (names: readonly string[]): UserTask[] =>
    names.map((name) => generatedUserTask(findGeneratedTask(name), { seed, ...ROWS }));
  const display = createTrainTasksDisplay({ json: false });
  await resumable(display, {
    goesOn: "the same command goes on from there",
    async work(signal) {
      const tasks = tasksOf(SEEN);
      display.say(
        `Cadre trains one small expert for each of ${tasks.length} generated tasks, and one multitask model for all of them, and compares them with the base.`,
      );
      display.onTasks({ tasks, failed: [], skipped: [] });
      await using device = await openDevice(threads);
      const report = await trainExperts(tasks, {
        library: join(options.run, "library"),
        runFolder: options.run,
        recipe: quickstartRecipe(seed),
        unseen: tasksOf(UNSEEN),
        replace: true,
        device,
        signal,
        onEvent: display.onEvent,
      });
      display.stop();
      await finish(report, { run: options.run, seconds: (performance.now() - started) / 1000 });
    },
  });
}

function quickstartRecipe(seed: number): ExpertRecipe {
  return parseConfig(expertRecipeSchema, withOverrides("mini", { seed, steps: STEPS }), {
    where: "quickstart",
    code: "invalid-argument",
  });
}

async function finish(
  { judged, experts, failed, library }: TrainExpertsReport,
  { run, seconds }: { readonly run: string; readonly seconds: number },
): Promise<void> {
  const [failure] = failed;
  if (failure !== undefined || judged === undefined) {
    throw new CadreError(
      "internal",
      `quickstart: ${failure?.task ?? "judging"} failed: ${failure?.reason ?? "no tasks"}`,
    );
  }
  const results = quickstartResults(judged.comparison, { seconds, experts: experts.length });
  const file = join(run, "results.json");
  await writeFileAtomic(file, `${JSON.stringify(results, null, 2)}\n`);
  console.log(`\n${renderText(comparisonReport(judged.comparison, { title: "What experts gain" }))}`);
  const shown = (path: string): string => relative("", path);
  console.log(
    [
      `library    ${shown(library)} (cadre experts list ${shown(library)})`,
      `page       ${shown(judged.page)}`,
      `results    ${file}`,
      `time       ${duration(seconds)}`,
      "",
      "Your own tasks, a file each: cadre train ./tasks --library ./library",
    ].join("\n"),
  );
}

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openKeyMaker } from "../src/cadre/node/expert-key-maker.js";
import { openLibraryRouter } from "../src/cadre/node/library-router.js";
import { trainExperts } from "../src/cadre/node/train-experts.js";
import { createChoiceScorer } from "../src/evaluation/score-choices.js";
import { expertRecipeSchema, expertRecipes, withOverrides } from "../src/experts/expert-recipe.js";
import { openLibrary } from "../src/library/node/library.js";
import { encodeExample } from "../src/mixtures/encode-example.js";
import { openModelFolder } from "../src/models/node/model-folder.js";
import { PACKAGED_BASE, resolveBase } from "../src/models/node/resolve-base.js";
import { routingTextOf } from "../src/routing/text-format.js";
import { openDevice } from "../src/runtime/node/open-device.js";
import { generatedUserTask } from "../src/tasks/generated/generated-user-task.js";
import { findGeneratedTask } from "../src/tasks/generated/index.js";
import { openTokenizer } from "../src/tokenizers/node/open-tokenizer.js";

/** As five files of 500 short rows, divided 80/10/10. */
const TASKS = [
  "topic/club-bulletins",
  "topic/council-letters",
  "intent/bank-chat",
  "intent/library-desk",
  "sentiment/museum-visits",
];
const ROWS = { train: 400, validation: 50, test: 50 };
/** Rows that are scored and routed. */
const QUESTIONS = 1000;

/** What a person waits for: experts of five small files with the recipe `mini` and the comparison, then questions answered. */
export async function benchExperts({
  json,
  smoke,
}: {
  readonly json: boolean;
  readonly smoke: boolean;
}): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "cadre-bench-"));
  try {
    await using device = await openDevice();
    const tasks = TASKS.map((name) => generatedUserTask(findGeneratedTask(name), { seed: 1, ...ROWS }));
    const recipe = smoke ? expertRecipeSchema.parse(withOverrides("mini", { steps: 10 })) : expertRecipes.mini;
    const library = join(folder, "library");
    let expertSeconds = 0;
    let multitaskSeconds = 0;
    const report = await trainExperts(tasks, {
      ...{ library, runFolder: join(folder, "run"), device, recipe: expertRecipeSchema.parse(recipe) },
      onEvent(event) {
        if (event.type !== "task-end") return;
        if (event.task.startsWith("multitask")) multitaskSeconds += event.seconds;
        else expertSeconds += event.seconds;
      },
    });
    const answers = await benchAnswers(device, library, smoke ? 50 : QUESTIONS);
    const result = {
      tasks: TASKS.length,
      rowsPerTask: ROWS.train + ROWS.validation + ROWS.test,
      stepsPerExpert: recipe.steps,
      seconds: report.seconds,
      expertSeconds,
      expertsPerMinute: (60 * TASKS.length) / expertSeconds,
      multitaskSeconds,
      ...answers,
      peakGiB: process.resourceUsage().maxRSS / 2 ** 20,
    };
    if (json) {
      console.log(JSON.stringify(result, null, 2));
      return;
    }
    console.log(
      [
        `${result.tasks} tasks of ${result.rowsPerTask} rows, ${result.stepsPerExpert} steps an expert: ${result.seconds.toFixed(0)} s in all`,
        `experts              ${expertSeconds.toFixed(0)} s, ${result.expertsPerMinute.toFixed(2)} a minute`,
        `both multitask       ${multitaskSeconds.toFixed(0)} s`,
        `routing and judging  ${(report.seconds - expertSeconds - multitaskSeconds).toFixed(0)} s`,
        `rank classification  ${answers.scoredRowsPerSecond.toFixed(0)} rows/s (base, ${QUESTIONS} rows of 4 choices)`,
        `retrieval            ${answers.routedRowsPerSecond.toFixed(0)} questions/s (embedded by the base, ${TASKS.length} experts' keys)`,
        `peak memory          ${result.peakGiB.toFixed(2)} GiB`,
      ].join("\n"),
    );
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Rows a second, programs compiled before. */
async function benchAnswers(
  device: Awaited<ReturnType<typeof openDevice>>,
  libraryPath: string,
  count: number,
): Promise<{ readonly scoredRowsPerSecond: number; readonly routedRowsPerSecond: number }> {
  const baseFolder = await resolveBase(PACKAGED_BASE);
  await using base = await openModelFolder(baseFolder);
  const tokenizer = await openTokenizer(baseFolder);
  const { test } = generatedUserTask(findGeneratedTask("intent/bank-chat"), {
    ...{ seed: 2, train: 0, validation: 0, test: count },
  }).splits;
  await using scorer = createChoiceScorer({ device, model: base.model, weights: base.weights });
  const examples = test.map((example) => encodeExample(example, tokenizer));
  const scoredRowsPerSecond = await rate(count, () => scorer.score(examples));
  const library = await openLibrary(libraryPath);
  await using keyMaker = await openKeyMaker({ device, base, baseHash: library.base.hash, tokenizer, library });
  const router = await openLibraryRouter({ device, library, keyMaker });
  const texts = test.map(routingTextOf);
  const routedRowsPerSecond = await rate(count, () => router.routeEach(texts));
  return { scoredRowsPerSecond, routedRowsPerSecond };
}

async function rate(count: number, work: () => Promise<unknown>): Promise<number> {
  await work();
  const started = performance.now();
  await work();
  return (1000 * count) / (performance.now() - started);
}

import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { EXIT_CODES } from "../core/errors.js";
import { writeFileAtomic } from "../core/node/atomic-write.js";
import { type ExpertRecipeName, expertRecipes } from "../experts/expert-recipe.js";
import { checkTask } from "../mixtures/check-task.js";
import { PACKAGED_BASE, resolveBase } from "../models/node/resolve-base.js";
import { renderHtml } from "../report/render-html.js";
import { readUserTasks } from "../tasks/node/read-user-tasks.js";
import { openTokenizer } from "../tokenizers/node/open-tokenizer.js";
import { tasksPage } from "./check-tasks-page.js";
import type { TasksCheck } from "./check-tasks-result.js";
import { tasksText } from "./check-tasks-text.js";
import { choiceOption, numberOption, offlineOption } from "./options.js";
import { type ReadingFlags, readingOptions } from "./train-tasks-reading.js";

/** Options of `cadre check PATH…`, as commander gives them. */
export interface CheckTasksOptions extends ReadingFlags {
  readonly base: string;
  readonly recipe: string;
  /** Default: the recipe's. */
  readonly seed?: string;
  readonly strict?: boolean;
  readonly json?: boolean;
  readonly html?: string;
  readonly offline?: boolean;
}

/**
 * `cadre check PATH…`: prints what `cadre train PATH…` with the same recipe would train and what is wrong with it; with `--strict` exit code 3 where
 * there is a problem or something is skipped.
 * @throws CadreError as `readUserTasks` and `readingOptions`; for a base without a tokenizer; for a page that cannot be written.
 */
export async function checkTasks(paths: readonly string[], options: CheckTasksOptions): Promise<void> {
  const reading = readingOptions("check", paths, options);
  const recipe = choiceOption("recipe", options.recipe, Object.keys(expertRecipes) as ExpertRecipeName[]);
  const { batch, losses, maxRows, seed: ownSeed } = expertRecipes[recipe];
  const seed =
    options.seed === undefined
      ? ownSeed
      : numberOption("seed", options.seed, { minimum: 0, maximum: 2 ** 32 - 1, integer: true });
  const tokenizer = await openTokenizer(await tokenizerFolder(options.base, offlineOption(options)));
  const { tasks, failed, skipped } = await readUserTasks(paths, {
    ...reading,
    seed,
  });
  const { inputLength, targetLength } = batch;
  const asked = { inputLength, targetLength, learnsChoices: losses.choices > 0, maxRows };
  const checks = tasks.map((task) => checkTask(task, { tokenizer, ...asked }));
  const found = checks.flatMap(({ findings }) => findings.filter(({ level }) => level === "problem"));
  const result: TasksCheck = {
    format: "cadre-task-check",
    formatVersion: 1,
    paths,
    base: options.base,
    recipe,
    seed,
    tasks: checks,
    failed,
    skipped,
    problems: failed.length + found.length,
  };
  if (options.html !== undefined) await writeFileAtomic(options.html, renderHtml(tasksPage(result)));
  console.log(options.json === true ? JSON.stringify(result, undefined, 2) : tasksText(result));
  if (options.strict === true && result.problems + skipped.length > 0) process.exitCode = EXIT_CODES.input;
}

/** Where the base's tokenizer lies: to count tokens no weights are needed, so none are asked for where the base is on this machine. */
async function tokenizerFolder(base: string, offline: { readonly offline?: boolean }): Promise<string> {
  if (await isFolder(base)) return base;
  const packaged = base === PACKAGED_BASE ? packagedFolder() : undefined;
  return packaged ?? (await resolveBase(base, offline));
}

function packagedFolder(): string | undefined {
  for (let folder = dirname(fileURLToPath(import.meta.url)); folder !== dirname(folder); folder = dirname(folder)) {
    const candidate = join(folder, "bases", PACKAGED_BASE);
    if (existsSync(join(candidate, "tokenizer.json"))) return candidate;
  }
  return undefined;
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (status) => status.isDirectory(),
    () => false,
  );
}

import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { EXIT_CODES } from "../core/errors.js";
import { writeFileAtomic } from "../core/node/atomic-write.js";
import { expertRecipes } from "../experts/expert-recipe.js";
import { checkTask } from "../mixtures/check-task.js";
import { PACKAGED_BASE, resolveBase } from "../models/node/resolve-base.js";
import { renderHtml } from "../report/render-html.js";
import { readUserTasks } from "../tasks/node/read-user-tasks.js";
import { openTokenizer } from "../tokenizers/node/open-tokenizer.js";
import { tasksPage } from "./check-tasks-page.js";
import type { TasksCheck } from "./check-tasks-result.js";
import { tasksText } from "./check-tasks-text.js";
import { numberOption } from "./options.js";

/** Options of `cadre check PATH…`, as commander gives them. */
export interface CheckTasksOptions {
  readonly base: string;
  readonly template?: readonly string[];
  readonly answerChoices?: string;
  readonly choices?: readonly string[];
  readonly seed: string;
  readonly strict?: boolean;
  readonly json?: boolean;
  readonly html?: string;
}

/**
 * `cadre check PATH…`: prints what would be trained and what is wrong with it; with `--strict` exit code 3 where there is a problem.
 * @throws CadreError as `readUserTasks`; for a base without a tokenizer; for a page that cannot be written.
 */
export async function checkTasks(paths: readonly string[], options: CheckTasksOptions): Promise<void> {
  const seed = numberOption("seed", options.seed, { minimum: 0, maximum: 2 ** 32 - 1, integer: true });
  const answerChoices = options.answerChoices;
  const templates = options.template?.map((text) => ({
    text,
    ...(answerChoices === undefined ? {} : { answerChoices }),
  }));
  const tokenizer = await openTokenizer(await tokenizerFolder(options.base));
  const { tasks, failed, skipped } = await readUserTasks(paths, {
    seed,
    ...(templates === undefined ? {} : { templates }),
    ...(options.choices === undefined ? {} : { choices: options.choices }),
  });
  const { batch, maxRows } = expertRecipes.mini;
  const limits = { inputLength: batch.inputLength, targetLength: batch.targetLength, maxRows };
  const checks = tasks.map((task) => checkTask(task, { tokenizer, ...limits }));
  const found = checks.flatMap(({ findings }) => findings.filter(({ level }) => level === "problem"));
  const result: TasksCheck = {
    format: "cadre-task-check",
    formatVersion: 1,
    paths,
    base: options.base,
    seed,
    tasks: checks,
    failed,
    skipped,
    problems: failed.length + found.length,
  };
  if (options.html !== undefined) await writeFileAtomic(options.html, renderHtml(tasksPage(result)));
  console.log(options.json === true ? JSON.stringify(result, undefined, 2) : tasksText(result));
  if (options.strict === true && result.problems > 0) process.exitCode = EXIT_CODES.input;
}

/** Where the base's tokenizer lies: to count tokens no weights are needed, so none are asked for where the base is on this machine. */
async function tokenizerFolder(base: string): Promise<string> {
  if (await isFolder(base)) return base;
  const packaged = base === PACKAGED_BASE ? packagedFolder() : undefined;
  return packaged ?? (await resolveBase(base));
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

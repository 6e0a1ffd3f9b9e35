import { existsSync } from "node:fs";
import { extname } from "node:path";
import { CadreError } from "../core/errors.js";
import { ROW_READERS } from "../tasks/node/file-rows.js";
import type { ReadUserTasksOptions } from "../tasks/node/read-user-tasks.js";
import { quote } from "../tasks/row-values.js";

/** Options of `cadre check` and `cadre train` that say how rows are read, as commander gives them. */
export interface ReadingFlags {
  readonly template?: readonly string[];
  readonly answerChoices?: string;
  readonly choices?: readonly string[];
}

/**
 * What the flags mean for `readUserTasks`. `--template` and `--choices` take all values up to the next option, so that a path behind them is swallowed:
 * that is refused rather than read as a template or an answer.
 * @param command its name, for messages
 * @throws CadreError `invalid-argument` without paths; for answer choices without a template; for a template that reads no field; for a choice that is a data file.
 */
export function readingOptions(
  command: "check" | "train",
  paths: readonly string[],
  { template, answerChoices, choices }: ReadingFlags,
): Pick<ReadUserTasksOptions, "templates" | "choices"> {
  const fail = (message: string): never => {
    throw new CadreError("invalid-argument", `${command}: ${message}`);
  };
  const pathsFirst = (option: string): string =>
    `; paths come first, as --${option} takes all that follows it: cadre ${command} PATH --${option} …`;
  if (paths.length === 0) {
    const option = template === undefined ? (choices === undefined ? undefined : "choices") : "template";
    fail(`expected paths of tasks, got none${option === undefined ? "" : pathsFirst(option)}`);
  }
  if (answerChoices !== undefined && template === undefined) {
    fail(
      "expected --template beside --answer-choices, which are the template's, got none; for plain rows give --choices",
    );
  }
  const constant = template?.find((text) => !/\{\{|\{%/.test(text));
  if (constant !== undefined) {
    fail(
      `expected a --template that reads fields of the rows, as {{ text }}, got ${quote(constant)}${pathsFirst("template")}`,
    );
  }
  const file = choices?.find(
    (choice) => Object.hasOwn(ROW_READERS, extname(choice).toLowerCase()) && existsSync(choice),
  );
  if (file !== undefined)
    fail(`expected answers behind --choices, got the file ${quote(file)}${pathsFirst("choices")}`);
  return {
    ...(template === undefined
      ? {}
      : { templates: template.map((text) => ({ text, ...(answerChoices === undefined ? {} : { answerChoices }) })) }),
    ...(choices === undefined ? {} : { choices }),
  };
}

import type { LengthCheck, TaskCheck, TemplateCheck } from "../mixtures/task-check.js";
import { formatNumber } from "../report/format.js";
import { cutText, printable, quote } from "../tasks/row-values.js";
import { SPLITS } from "../tasks/user-task.js";
import type { TasksCheck } from "./check-tasks-result.js";

/** Bad rows, conflicts and leaks of a task that are printed. */
const LISTED = 5;
/** Choices of a task that are printed. */
const LISTED_CHOICES = 10;

/** What `cadre check PATH…` prints. */
export function tasksText(check: TasksCheck): string {
  const { tasks, failed, skipped, problems } = check;
  const lines = tasks.flatMap((task) => [...taskLines(task), ""]);
  for (const { name, reason } of failed) lines.push(`failed: ${name}: ${reason}`);
  for (const { file, reason } of skipped) lines.push(`skipped: ${file}: ${reason}`);
  const trainable = tasks.filter(({ refusal }) => refusal === undefined);
  const refused = tasks.length - trainable.length;
  const rows = trainable.reduce((sum, { splitRows }) => sum + splitRows.train, 0);
  const counts = [
    `${plural(trainable.length, "task")} to train on`,
    ...(refused === 0 ? [] : [`${plural(refused, "task")} that cannot be trained`]),
    plural(rows, "training row"),
    problems === 0 ? "no problems" : plural(problems, "problem"),
  ];
  return [...lines, counts.join(", ")].join("\n").split("\n").map(printable).join("\n");
}

/** The choices of a template with their share of all rows, or why there are none. */
export function choicesText(
  { choices, choicesFrom, choicesNote, labels }: TemplateCheck,
  limit = LISTED_CHOICES,
): string {
  if (choices === undefined)
    return choicesFrom === "none" ? `free text (${choicesNote})` : `${choicesNote} (${choicesFrom})`;
  const counts = labels.map(({ label, train, validation, test }) => ({ label, count: train + validation + test }));
  const total = counts.reduce((sum, { count }) => sum + count, 0);
  const shown = counts
    .slice(0, limit)
    .map(({ label, count }) => `${quote(label)} ${total === 0 ? 0 : Math.round((100 * count) / total)} %`);
  const rest = counts.length > limit ? `, … (${counts.length} in all)` : "";
  return `${shown.join(", ")}${rest} (${choicesFrom}: ${choicesNote})`;
}

/** A text from the data on one line, cut where it is long. */
export function shorten(text: string): string {
  return cutText(text.replace(/\s+/g, " ").trim());
}

function taskLines(task: TaskCheck): string[] {
  const {
    name,
    files,
    rows,
    badRows,
    splitRows,
    splitFrom,
    splitsMade,
    templates,
    problems,
    conflicts,
    leaks,
    findings,
  } = task;
  const splits = SPLITS.map((split) => `${formatNumber(splitRows[split])} ${split}`).join(", ");
  const origin = splitFrom === "field" ? "by the field split" : splitFrom === "files" ? "by file" : "";
  const made =
    splitsMade.length === 0 ? "" : splitFrom === "made" ? "made by seed" : `${splitsMade.join(" and ")} made by seed`;
  const how = [origin, made].filter((part) => part !== "").join("; ");
  const lines = [
    `${name}  (${files.join(", ")})`,
    line("rows", `${formatNumber(rows - badRows)} good, ${formatNumber(badRows)} bad`),
    line("splits", how === "" ? splits : `${splits} (${how})`),
  ];
  for (const template of templates) {
    if (templates.length > 1) lines.push(`  ${template.name}`);
    lines.push(
      line("choices", choicesText(template)),
      line("input tokens", lengthText(template.inputTokens, "cut at")),
      template.targetTokensOf === "answer"
        ? line("answer tokens", lengthText(template.targetTokens, "cut at"))
        : line("choice tokens", lengthText(template.targetTokens, "above")),
    );
  }
  for (const { level, text } of findings) lines.push(`  ${level}: ${text}`);
  lines.push(
    ...listed(
      "bad rows",
      problems.map(({ file, line: number, problem }) => `${file} line ${number}: ${problem}`),
      badRows,
    ),
    ...listed(
      "different answers",
      conflicts.map(({ input, answers }) => {
        const places = answers.map(({ target, place }) => `${quote(target)} (${place.file} line ${place.line})`);
        return `${quote(input)}: ${places.join(", ")}`;
      }),
      task.conflictCount,
    ),
    ...listed(
      "left out",
      leaks.map((leak) => leakText(leak)),
      task.leakCount,
    ),
    ...listed(
      "nearly equal",
      task.nearLeaks.map((leak) => leakText(leak)),
      task.nearLeakCount,
    ),
  );
  return lines;
}

function leakText({ split, place, of }: TaskCheck["leaks"][number]): string {
  return `${place.file} line ${place.line} (${split}): as ${of.place.file} line ${of.place.line} (${of.split})`;
}

function lengthText(
  { measured, median, percentile95, longest, limit, cut }: LengthCheck,
  beyond: "cut at" | "above",
): string {
  if (measured === 0) return "none measured";
  const shares = `median ${median}, 95 % at most ${percentile95}, longest ${longest}`;
  return `${shares}; ${cut} of ${formatNumber(measured)} ${beyond} ${limit}`;
}

function listed(title: string, texts: readonly string[], count: number): string[] {
  if (count === 0) return [];
  const shown = texts.slice(0, LISTED).map((text) => `    ${text}`);
  const rest = count - shown.length;
  return [`  ${title}:`, ...shown, ...(rest > 0 ? [`    … and ${formatNumber(rest)} more (--json lists them)`] : [])];
}

function line(title: string, text: string): string {
  return `  ${title.padEnd(13)} ${text}`;
}

function plural(count: number, noun: string): string {
  return `${formatNumber(count)} ${noun}${count === 1 ? "" : "s"}`;
}

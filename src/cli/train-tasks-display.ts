import type { ExpertScore } from "../cadre/expert-score.js";
import type { TrainExpertsEvent } from "../cadre/node/train-experts.js";
import type { UserTasks } from "../tasks/node/read-user-tasks.js";
import { printable, quote } from "../tasks/row-values.js";
import { countProblems, countRows, SPLITS } from "../tasks/user-task.js";
import { duration } from "./duration.js";
import { type Progress, startProgress } from "./progress.js";

/** Steps over which loss and speed are averaged. */
const AVERAGED_STEPS = 20;

/** Shows what `trainExperts` does: a line for each model, a progress bar for the one that is trained. */
export interface TrainTasksDisplay {
  onTasks(read: UserTasks): void;
  readonly onEvent: (event: TrainExpertsEvent) => void;
  /** A fact, on stdout unless that is for JSON. */
  say(line: string): void;
  /** Removes the progress bar. */
  stop(): void;
  /** How far it is, in words. */
  where(): string;
}

export function createTrainTasksDisplay({ json }: { readonly json: boolean }): TrainTasksDisplay {
  let progress: Progress | undefined;
  let place = "before the first training";
  let total = 0;
  let recent: { readonly loss: number; readonly seconds: number }[] = [];
  const write = (line: string): void => (json ? console.error : console.log)(printable(line));
  const warn = (line: string): void => {
    stop();
    console.error(printable(line));
  };
  const stop = (): void => {
    progress?.stop();
    progress = undefined;
  };
  const say = (line: string): void => {
    stop();
    write(line);
  };
  const start = (title: string, steps: number): void => {
    stop();
    total = steps;
    recent = [];
    progress = startProgress({ title: printable(title), total: Math.max(1, steps) });
  };
  const onEvent = (event: TrainExpertsEvent): void => {
    switch (event.type) {
      case "download":
        if (progress === undefined) start(event.file, event.totalBytes);
        progress?.update(event.doneBytes, event.repository);
        break;
      case "task-start": {
        place = `in the training of ${event.task}`;
        const cut = event.truncatedRows > 0 ? `; ${event.truncatedRows} rows are cut` : "";
        if (cut !== "" || event.rowsOverLimit > 0) {
          const over = event.rowsOverLimit > 0 ? `; ${event.rowsOverLimit} rows above the recipe's maxRows` : "";
          say(`           ${event.task}: ${event.trainRows} rows to train on${cut}${over}`);
        }
        start(`${event.index}/${event.of} ${event.task}`, event.steps);
        break;
      }
      case "training-start":
        for (const message of event.damagedCheckpoints) console.error(printable(`passed over: ${message}`));
        break;
      case "step-end": {
        recent = [...recent.slice(1 - AVERAGED_STEPS), event];
        const average = (of: (step: (typeof recent)[number]) => number): number =>
          recent.reduce((sum, step) => sum + of(step), 0) / recent.length;
        const left = (total - event.step) * average(({ seconds }) => seconds);
        progress?.update(event.step, `loss ${average(({ loss }) => loss).toFixed(3)}  ${duration(left)} left`);
        break;
      }
      case "task-end":
        say(
          `${event.index}/${event.of}`.padEnd(11) +
            `${event.task}: ${describe(event.score)} on validation rows after ${event.steps} steps, ${duration(event.seconds)}`,
        );
        break;
      case "task-kept":
        say(`${`${event.index}/${event.of}`.padEnd(11)}${event.task}: is there already`);
        break;
      case "task-failed":
        warn(`${`${event.index}/${event.of}`.padEnd(11)}${event.task}: FAILED: ${event.reason}`);
        break;
      case "multitask-skipped":
        say(`multitask  left out: ${event.reason}`);
        break;
      case "routing-chosen": {
        const share = event.accuracies[event.adjustment];
        if (share !== undefined) {
          say(
            `routing    ${(100 * share).toFixed(0)} % of validation inputs find their own expert (embeddings ${event.adjustment === "none" ? "as they are" : event.adjustment})`,
          );
        }
        break;
      }
      case "judging-start":
        place = "while judging";
        break;
      case "task-not-judged":
        warn(`not judged: ${event.reason}`);
        break;
      case "system-left-out":
        say(`left out   ${event.system}: ${event.reason}`);
        break;
      case "cell-start":
        if (progress === undefined) start("judging", event.total);
        progress?.update(event.done, `${event.system} on ${event.task}`);
        break;
      case "cell-end":
        progress?.update(event.done, `${event.system} on ${event.task}`);
        break;
      default:
        break;
    }
  };
  return {
    onTasks({ tasks, failed, skipped }) {
      const rows = tasks.reduce((sum, task) => sum + countRows(task.splits.train), 0);
      const bad = tasks.reduce((sum, task) => sum + countProblems(task), 0);
      say(
        `tasks      ${tasks.length}, ${rows} rows to train on${bad > 0 ? `; ${bad} bad rows are left out (cadre check shows them)` : ""}`,
      );
      for (const { name, templates, splits } of tasks) {
        const choices = templates[0]?.choices;
        const among = choices === undefined ? (templates[0]?.choicesNote ?? "") : `choices ${shortList(choices)}`;
        const shown = templates.length > 1 ? `, each by ${templates.length} templates` : "";
        say(
          `           ${name}: ${SPLITS.map((split) => countRows(splits[split])).join(" + ")} rows${shown}, ${among}`,
        );
      }
      for (const { name, reason } of failed) warn(`not read: ${name}: ${reason}`);
      for (const { file, reason } of skipped) warn(`skipped: ${file}: ${reason}`);
    },
    onEvent,
    say,
    stop,
    where: () => place,
  };
}

function describe({ accuracy, loss }: ExpertScore): string {
  return accuracy === undefined ? `loss ${loss.toFixed(3)}` : `${(100 * accuracy).toFixed(1)} % right`;
}

/** The first choices, so that a person sees whether they are the right ones. */
function shortList(choices: readonly string[]): string {
  const first = choices.slice(0, 6).map((choice) => quote(choice));
  return `${first.join(", ")}${choices.length > 6 ? ` and ${choices.length - 6} more` : ""}`;
}

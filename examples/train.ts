/**
 * Trains an expert for each file of a folder and a multitask model of equal compute, shows how far it is, and prints the comparison.
 * Ctrl-C leaves a checkpoint; the same call goes on from there.
 *
 *   node train.ts TASKS LIBRARY [base]
 *
 * Node 24 runs it as it is; docs/ten-minutes.md says what older ones need.
 */
import { CadreError, type TrainExpertsEvent, trainExperts } from "cadre";

const [tasks = "tasks", library = "library", base = "cadre-mini"] = process.argv.slice(2);

const interrupted = new AbortController();
process.once("SIGINT", () => interrupted.abort());

function show(event: TrainExpertsEvent): void {
  switch (event.type) {
    case "tasks-read":
      for (const { name, splits } of event.tasks) console.log(`${name}: ${splits.train.length} rows to train on`);
      for (const { name, reason } of event.failed) console.error(`${name} cannot be read: ${reason}`);
      break;
    case "task-start":
      console.log(`${event.index}/${event.of} ${event.task}: ${event.steps} steps`);
      break;
    case "task-failed":
      console.error(`${event.task} has no expert: ${event.reason}`);
      break;
    case "routing-chosen":
      console.log(`routing compares vectors ${event.adjustment}`);
      break;
  }
}

try {
  const { judged, seconds } = await trainExperts(tasks, {
    ...{ library, base },
    signal: interrupted.signal,
    onEvent: show,
  });
  // Percent of the test rows that are right, with the interval of 95 %.
  for (const { name, mean } of judged?.comparison.seen?.figures ?? []) {
    console.log(`${name.padEnd(20)} ${mean.mean.toFixed(1)} (${mean.low.toFixed(1)} to ${mean.high.toFixed(1)})`);
  }
  console.log(`${Math.round(seconds)} s; the whole table: ${judged?.page ?? "no task could be judged"}`);
} catch (error) {
  if (!CadreError.isInstance(error)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

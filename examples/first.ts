/**
 * The shortest way: trains an expert on a thousand messages to a bank, which are generated, and asks it. A minute or two on
 * two cores.
 *
 *   node first.ts [folder] [base]
 *
 * Node 24 runs it as it is; docs/ten-minutes.md says what older ones need.
 */
import { join } from "node:path";
import { openCadre, trainExperts } from "cadre";
import { findGeneratedTask, generatedUserTask } from "cadre/tasks";

const [folder = "first", base = "cadre-mini"] = process.argv.slice(2);
const library = join(folder, "library");

// A task of your own is a path: trainExperts("tickets.jsonl", …).
const rows = { seed: 1, train: 1000, validation: 50, test: 100 };
const task = generatedUserTask(findGeneratedTask("intent/bank-chat"), rows);
const report = await trainExperts([task], { library, base, runFolder: join(folder, "run") });

console.log(
  `trained in ${Math.round(report.seconds)} s; right on ${rows.test} messages that it had not seen, in percent:`,
);
for (const { name, mean } of report.judged?.comparison.seen?.figures ?? []) {
  console.log(`  ${name.padEnd(16)} ${mean.mean.toFixed(0)}`);
}

await using cadre = await openCadre(library);
for (const { input, targets } of task.splits.test.slice(0, 3)) {
  const { choice } = await cadre.classify(input);
  console.log(`\n${input}\n→ ${choice} (${choice === targets[0] ? "right" : `it is ${targets[0]}`})`);
}

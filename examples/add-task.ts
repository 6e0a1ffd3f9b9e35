/**
 * Adds tasks to a library that answers already: only their experts are trained, no other is touched, and the open cadre sees them after
 * `refresh`.
 *
 *   node add-task.ts LIBRARY TASKS TEXT [base]
 *
 * Node 24 runs it as it is; docs/ten-minutes.md says what older ones need.
 */
import { basename } from "node:path";
import { openCadre, trainExperts } from "cadre";
import { openLibrary } from "cadre/library";

const [library = "library", tasks = "more-tasks", question = "I was charged twice", base = "cadre-mini"] =
  process.argv.slice(2);

await using cadre = await openCadre(library);
const before = await fingerprints();
console.log(`${cadre.experts.length} experts`);

// The multitask model and the comparison would need all tasks again; an expert needs its own rows only.
const report = await trainExperts(tasks, {
  ...{ library, base },
  mode: "experts",
  runFolder: `runs/${basename(library)}-added`,
});
for (const { task, reason } of report.failed) console.error(`${task} has no expert: ${reason}`);

await cadre.refresh();
const after = await fingerprints();
const touched = [...before].filter(([id, hash]) => after.get(id) !== hash);
console.log(`${cadre.experts.length} experts; of those that were there, ${touched.length} changed`);
const { choice, routing } = await cadre.classify(question);
console.log(`${choice}, says ${routing.experts[0]?.name ?? "the base"}`);

/** The hash that each expert's manifest gives of itself, which covers those of all its files. */
async function fingerprints(): Promise<Map<string, string>> {
  const opened = await openLibrary(library);
  const experts = await opened.list();
  return new Map(experts.map(({ id, manifest }) => [id, manifest.sha256]));
}

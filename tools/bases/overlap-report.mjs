// What was kept out of a pre-training because held-out rows contain it, from the run's data.json (after npm run build):
// node tools/bases/overlap-report.mjs RUN-FOLDER OUT-FOLDER LATER-CHECK.json SECOND-PART
// The check is what `cadre check --json --overlap SOURCES… --against FILES…` says of the held-out files that had no reader when the run began.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeReport } from "../../dist/src/report/node/write-report.js";

const [run = "runs/cadre-mini", out = "docs/results", laterCheck, secondPart = "runs/cadre-mini-tasks"] =
  process.argv.slice(2);
const later = JSON.parse(readFileSync(laterCheck, "utf8"));
/** Paths from the data bundle's root. */
const shorter = (path) => path.replace(/^.*\/shared\/data\//, "");
const dataOf = (folder) => JSON.parse(readFileSync(join(folder, "data.json"), "utf8"));
const data = dataOf(run);
const heldout = JSON.parse(readFileSync("bases/cadre-mini/heldout.json", "utf8"));
const dropped = Object.entries(data.droppedParagraphs);
/** How many files of which ending a run could not compare. */
function uncheckedOf({ uncheckedFiles }) {
  const endings = new Map();
  for (const { path } of uncheckedFiles) {
    const ending = path.slice(path.lastIndexOf("."));
    endings.set(ending, (endings.get(ending) ?? 0) + 1);
  }
  return [...endings].map(([ending, files]) => `${files} ${ending}`).join(", ");
}
const leftOut = ({ droppedParagraphs, droppedInstances }) => {
  const counts = Object.values(droppedParagraphs);
  return `${counts.reduce((sum, count) => sum + count, 0)} paragraphs of ${counts.length} files and ${droppedInstances} instances`;
};
/** The second part read the same files, with more readers of held-out ones. */
function secondPartSection(second) {
  return {
    title: "The second part",
    blocks: [
      {
        type: "text",
        text: `The second part of the pre-training (recipes/cadre-mini-tasks.yaml) compared the CSV, TSV and XML files too before its first step, and left out ${leftOut(second)}, the five rows' texts above among them; but its weights start from those of the first part. Not compared: ${uncheckedOf(second)} files, which hold templates, configurations, labels and exemplars.`,
      },
    ],
  };
}

const report = {
  format: "cadre-report",
  formatVersion: 1,
  title: "Overlap of cadre-mini's pre-training with held-out data",
  subtitle: "Left out before training: what shares 13 words in a row, or all its words, with a held-out row",
  createdAt: new Date().toISOString(),
  sections: [
    {
      title: "Result",
      blocks: [
        {
          type: "text",
          text: `No row of a held-out file that could be read when the run began overlaps with what was trained on: ${leftOut(data)} were left out before the first step. npm run test:data (test/bases/overlap.data.test.ts) recomputes this from the decoded token ids with an index of its own. Words are compared in lower case, without punctuation, in Unicode NFKC; definitions, templates and answers are left out. Generated tasks that are reported as unseen never entered the mixture.`,
        },
        {
          type: "text",
          text: `Not compared then: ${uncheckedOf(data)} of ${heldout.files.length} held-out files, for want of a reader (templates and configurations among them hold no rows). None of them was trained on; the CSV, TSV and XML files were compared afterwards, below.`,
        },
        {
          type: "table",
          columns: [{ title: "pre-training file" }, { title: "paragraphs left out" }],
          rows: dropped,
        },
      ],
    },
    {
      title: "Files compared afterwards",
      blocks: [
        {
          type: "text",
          text: `${later.overlaps.length} of ${later.evaluation.rows} rows of CSV, TSV and XML files share 13 words in a row with what was trained on. Nothing was left out for them: leave these rows out where you report on these files. No figure of this project is of them.`,
        },
        {
          type: "table",
          columns: [
            { title: "file" },
            { title: "row" },
            { title: "shared runs" },
            { title: "of" },
            { title: "training file" },
            { title: "the first words" },
          ],
          rows: later.overlaps.map(({ file, row, sharedRuns, runs, words, training }) => [
            shorter(file),
            row,
            sharedRuns,
            runs,
            shorter(training.file),
            words,
          ]),
        },
      ],
    },
    secondPartSection(dataOf(secondPart)),
  ],
};
console.log(await writeReport(report, { folder: out, name: "overlap" }));

// What was kept out of a pre-training because held-out rows contain it, from the run's data.json (after npm run build):
// node tools/bases/overlap-report.mjs RUN-FOLDER OUT-FOLDER
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeReport } from "../../dist/src/report/node/write-report.js";

const [run = "runs/cadre-mini", out = "docs/results"] = process.argv.slice(2);
const data = JSON.parse(readFileSync(join(run, "data.json"), "utf8"));
const heldout = JSON.parse(readFileSync("bases/cadre-mini/heldout.json", "utf8"));
const dropped = Object.entries(data.droppedParagraphs);
const endings = new Map();
for (const { path } of data.uncheckedFiles) {
  const ending = path.slice(path.lastIndexOf("."));
  endings.set(ending, (endings.get(ending) ?? 0) + 1);
}
const paragraphs = dropped.reduce((sum, [, count]) => sum + count, 0);
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
          text: `0 held-out rows overlap with what was trained on: ${paragraphs} paragraphs of ${dropped.length} files and ${data.droppedInstances} instances were left out before the first step. npm run test:data (test/bases/overlap.data.test.ts) recomputes this from the decoded token ids with an index of its own. Words are compared in lower case, without punctuation, in Unicode NFKC; definitions, templates and answers are left out. Generated tasks that are reported as unseen never entered the mixture.`,
        },
        {
          type: "text",
          text: `Not compared: ${[...endings].map(([ending, files]) => `${files} ${ending}`).join(", ")} of ${heldout.files.length} held-out files (no reader for them when the run began; templates and configurations among them hold no rows). None of them was trained on.`,
        },
        {
          type: "table",
          columns: [{ title: "pre-training file" }, { title: "paragraphs left out" }],
          rows: dropped,
        },
      ],
    },
  ],
};
console.log(await writeReport(report, { folder: out, name: "overlap" }));

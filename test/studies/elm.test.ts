import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { writeTinyBase } from "../../src/cadre/node/train-expert.test.helpers.js";
import { trainIntoLibrary } from "../../src/cadre/node/train-into-library.js";
import { createRandom } from "../../src/core/random.js";
import { openModelFolder } from "../../src/models/node/model-folder.js";
import { renderMarkdown } from "../../src/report/markdown.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import { type ElmOptions, studyElm } from "../../src/studies/elm.js";
import type { ElmSettings } from "../../src/studies/elm-settings.js";
import { openTokenizer } from "../../src/tokenizers/node/open-tokenizer.js";

const device = await openDevice({ threads: 1 });
const folder = await mkdtemp(join(tmpdir(), "cadre-elm-"));
afterAll(async () => {
  await device.close();
  await rm(folder, { recursive: true, force: true });
});

const SETS = ["one", "two", "three", "dev", "far"];
const settings: ElmSettings = {
  limits: { train: 24, validation: 4, seen: 4, unseen: 5 },
  batchRows: 4,
  inputLength: 48,
  promptSteps: 2,
  kindSets: ["two"],
  added: 1,
  probeRows: 2,
  composed: ["numbers/double-then-add-three"],
  composedRows: { train: 12, validation: 4, test: 4 },
  lambdas: [0.5],
  tops: [2],
  formats: ["choice_instance", "instance"],
  keys: [2, 5],
  queries: [1, 4],
};

/** Rows that say which of two letters they hold; sets differ in what stands around it. */
async function writeData(data: string): Promise<void> {
  const lines = ["format: cadre-elm-tasks", "formatVersion: 1"];
  await writeFile(
    join(data, "map.yaml"),
    "format: cadre-field-map\nformatVersion: 1\ntemplates: letters\ninput: 'text: (?<text>.*)'\noutput: { field: label, values: { a: 0, b: 1 } }\n",
  );
  await writeFile(
    join(data, "templates.yaml"),
    [
      "dataset: letters",
      "templates:",
      ...["{{text}} ?", "Which: {{text}}"].flatMap((text, index) => [
        `  t${index}: !Template`,
        "    answer_choices: alpha ||| beta",
        `    id: t${index}`,
        `    jinja: '${text} ||| {{answer_choices[label]}}'`,
        "    metadata: !TemplateMetadata",
        "      choices_in_prompt: false",
        "      languages: [en]",
        "      metrics: [Accuracy]",
        "      original_task: true",
        `    name: t${index}`,
        "    reference: ''",
      ]),
    ].join("\n"),
  );
  for (const [position, name] of SETS.entries()) {
    const rows = (count: number, seed: number) => {
      const random = createRandom(seed, position);
      return Array.from({ length: count }, (_, row) => {
        const letter = row % 2 === 0 ? "a" : "b";
        return { input: `text: ${name} ${random.nextInteger(1000)} ${letter}${row}`, output: letter };
      });
    };
    await writeFile(join(data, `${name}-train.json`), JSON.stringify({ Instances: rows(40, 1) }));
    await writeFile(join(data, `${name}-test.json`), JSON.stringify({ Instances: rows(12, 2) }));
    const role = { three: "train", dev: "development", far: "test" }[name] ?? "train";
    if (!lines.includes(`${role}:`)) lines.push(`${role}:`);
    lines.push(
      `  - { name: ${name}, source: ${name}, rows: instructions, fieldMap: map.yaml, test: [${name}-test.json], templates: templates.yaml, use: [t0, t1]${role === "train" ? `, train: [${name}-train.json]` : ""} }`,
    );
  }
  for (const name of ["capital", "money"]) {
    const rows = Array.from({ length: 10 }, (_, row) => ({ input: `land ${row}`, output: `${name} ${row}` }));
    await writeFile(join(data, `${name}.json`), JSON.stringify({ Definition: `Name the ${name}.`, Instances: rows }));
  }
  lines.push("composed:", "  - { name: both, first: capital.json, second: money.json }");
  await writeFile(join(data, "tasks.yaml"), lines.join("\n"));
}

test("a tiny study that was stopped goes on to the page, and another run computes nothing again", async () => {
  const data = join(folder, "data");
  await mkdir(data);
  await writeData(data);
  const baseFolder = join(folder, "base");
  await writeTinyBase(baseFolder);
  await using base = await openModelFolder(baseFolder);
  const trained: string[] = [];
  const estimates: number[] = [];
  const options: ElmOptions = {
    ...{ device, base, baseName: "tiny", baseFolder, tokenizer: await openTokenizer(baseFolder), settings },
    ...{ list: join(data, "tasks.yaml"), dataFolder: data, resultsFolder: join(folder, "results") },
    ...{ seeds: [1], part: { number: 0, of: 1 } },
    train: (training) =>
      trainIntoLibrary({
        ...training,
        ...{ device, replace: false, keyTexts: "none" },
        onEvent: (event) => {
          if (event.type === "task-end") trained.push(`${event.task} ${event.steps}`);
        },
      }),
    onEstimate: ({ trainingSteps, seconds }) => estimates.push(trainingSteps, seconds),
    onProgress: () => {},
  };
  let calls = 0;
  const stopped = studyElm({
    ...options,
    train: (training) => {
      if (++calls === 3) throw new Error("power cut");
      return options.train(training);
    },
  });
  await expect(stopped).rejects.toThrow("power cut");
  const before = [...trained];
  expect(before).toHaveLength(11);
  const report = await studyElm(options);
  // What was trained before was not trained again.
  expect(trained.filter((line) => line.startsWith("one / t0"))).toHaveLength(1);
  if (report === undefined) throw new Error("expected a report");
  const page = renderMarkdown(report, { pictures: (index) => `${index}.svg` });
  const steps = trained.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
  expect(estimates[0]).toBe(steps);
  expect(page).toContain("far n = 5");
  expect(page).toMatch(/\| both \|/);
  expect(page).toContain("no claim is made: 3 are needed");
  expect(page).toMatch(/leaves earlier answers as they were.*agrees/);
  expect(page).not.toMatch(/undefined|NaN/);
  const claims = report.sections.find(({ title }) => title === "The paper's claims")?.blocks[0];
  const rows = claims?.type === "table" ? claims.rows : [];
  expect(new Set(rows.map(([, number]) => number))).toEqual(new Set([1, 2, 3, 4, 5, 6]));
  expect(rows.filter((row) => row[4] !== "not resolved")).toHaveLength(1);

  trained.length = 0;
  const again = await studyElm(options);
  expect(trained).toEqual([]);
  expect(again?.sections).toEqual(report.sections);
  expect(await readdir(join(folder, "results"))).toHaveLength(1);
}, 300_000);

import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { createOverlapIndex } from "../../mixtures/overlap.js";
import { readElmTasks } from "./read-elm-tasks.js";

const dataFolder = "../shared/data";
const composedRows = { validation: 32, test: 150 };

test.skipIf(!existsSync(dataFolder))(
  "every set has its rows, templates with choices, and no overlap",
  async () => {
    const limits = { train: 1000, validation: 48, seen: 60, unseen: 120 };
    const {
      train,
      development,
      test: unseen,
      sets,
      compositions,
    } = await readElmTasks({
      list: "recipes/elm/tasks.yaml",
      dataFolder,
      limits,
      composedRows,
    });
    expect(train.length).toBeGreaterThanOrEqual(12);
    expect(compositions.map(({ name, composed }) => [name, composed.splits.test.length])).toEqual([
      ["capital-and-currency", 110],
      ["calling-code-and-domain", 90],
    ]);
    for (const set of sets) {
      expect(set.templates, set.name).toBeGreaterThanOrEqual(3);
      if (set.role === "train") {
        expect(set.train, set.name).toBeGreaterThanOrEqual(200);
        expect([set.validation, set.judged], set.name).toEqual([48, 60]);
      }
    }
    expect(unseen.map(({ name, splits }) => [name, splits.test.length / 3])).toEqual([
      ...["rte", "cb", "copa", "wic", "winogrande"].map((name) => [name, 120]),
      ["wsc", expect.any(Number)],
    ]);
    const index = createOverlapIndex();
    const judged = [...train, ...development, ...unseen].flatMap((task) => task.splits.test);
    for (const example of judged) {
      expect(example.choices).toContain(example.targets[0]);
      if (example.template === 0)
        index.addEvaluationRow(example.input, { file: example.place.file, row: example.place.line });
    }
    for (const task of train) {
      for (const { input, template, place } of [...task.splits.train, ...task.splits.validation]) {
        // Words of a template that both sides have are no overlap: other templates of the set.
        if (template === 1) index.addTrainingText(input, { file: place.file, row: place.line });
      }
    }
    // Templates that list the choices share those words alone.
    const lists = judged.map(({ choices = [] }) => choices.join(" ").toLowerCase());
    const shared = index.report().overlaps.filter(({ words }) => !lists.some((list) => list.includes(words)));
    expect(shared.map(({ file, row, words }) => `${file}:${row} ${words}`)).toEqual([]);
  },
  120_000,
);

test.skipIf(!existsSync(dataFolder))(
  "what is judged by was kept out of cadre-mini's pre-training",
  async () => {
    const {
      train,
      development,
      test: unseen,
    } = await readElmTasks({
      list: "recipes/elm/tasks.yaml",
      dataFolder,
      limits: { train: 200, validation: 10, seen: 10, unseen: 10 },
      composedRows,
    });
    const heldOut: { files: { path: string }[] } = JSON.parse(readFileSync("bases/cadre-mini/heldout.json", "utf8"));
    const paths = new Set(heldOut.files.map(({ path }) => path));
    const judged = [...train, ...development, ...unseen].flatMap(({ splits }) =>
      splits.test.map(({ place }) => place.file),
    );
    expect([...new Set(judged)].filter((file) => !paths.has(file))).toEqual([]);
  },
  120_000,
);

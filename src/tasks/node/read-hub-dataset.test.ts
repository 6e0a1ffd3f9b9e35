import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type FakeHub, type FakeRepository, startFakeHub } from "../../models/node/hub-server.test.helpers.js";
import { chooseSplitFiles } from "../hub-dataset-files.js";
import { parsePromptTemplates } from "../promptsource/parse-prompt-templates.js";
import { renderPrompts } from "../promptsource/render-prompts.js";
import { type HubDatasetOptions, readHubDataset } from "./read-hub-dataset.js";

const NAME = "own/weather";
const COMMIT = "0fc9ddf78a1e988dac52e2dac162b0ede4fd74ab";
const shard = (texts: readonly string[], labels: readonly number[]): Uint8Array =>
  new Uint8Array(
    parquetWriteBuffer({
      columnData: [
        { name: "text", data: [...texts], type: "STRING" },
        { name: "label", data: [...labels], type: "INT32" },
      ],
    }),
  );

const first = "data/train-00000-of-00002.parquet";
const second = "data/train-00001-of-00002.parquet";
const repository: FakeRepository = {
  type: "dataset",
  name: NAME,
  commit: COMMIT,
  revisions: ["refs/convert/parquet"],
  large: [first],
  files: {
    "README.md": new TextEncoder().encode("not needed"),
    [first]: shard(["rain", "sun"], [0, 1]),
    [second]: shard(["snow"], [0]),
    "data/test-00000-of-00001.parquet": shard(["hail"], [0]),
    "data/broken-00000-of-00001.parquet": new TextEncoder().encode("PAR1"),
  },
};

let cacheFolder = "";
let hub: FakeHub;
beforeEach(async () => {
  cacheFolder = await mkdtemp(join(tmpdir(), "cadre-hub-data-"));
  hub = await startFakeHub(repository);
});
afterEach(async () => {
  await hub[Symbol.asyncDispose]();
  await rm(cacheFolder, { recursive: true, force: true });
});

const timing = { patienceMs: 2000, attempts: 2, firstWaitMs: 5, longestWaitMs: 100 };
const read = (options: HubDatasetOptions = {}, text = NAME) =>
  readHubDataset(text, { env: { HF_ENDPOINT: hub.endpoint }, cacheFolder, timing, ...options });

test("a split's shards become rows, in the layout of the Python library's cache", async () => {
  const events: string[] = [];
  const { rows, ...rest } = await read({ onProgress: (event) => events.push(event.type) });
  expect(rest).toEqual({ config: "default", split: "train" });
  expect(rows).toEqual([
    { text: "rain", label: 0 },
    { text: "sun", label: 1 },
    { text: "snow", label: 0 },
  ]);
  expect(events).toContain("download");
  expect(await readdir(cacheFolder)).toEqual(["datasets--own--weather"]);
  const snapshot = join(cacheFolder, "datasets--own--weather", "snapshots", COMMIT);
  expect((await readdir(join(snapshot, "data"))).sort()).toEqual([first, second].map((path) => path.slice(5)));
});

test("what is there already needs no network; another split does", async () => {
  const online = await read();
  hub.seen.length = 0;
  expect(await read({ offline: true })).toEqual(online);
  expect(await read({}, `${NAME}@${COMMIT}`)).toEqual(online);
  expect(hub.seen).toEqual([]);
  await expect(read({ offline: true, split: "test" })).rejects.toMatchObject({ code: "not-found" });
  expect((await read({ split: "test" })).rows).toHaveLength(1);
  expect((await read({ limit: 2 })).rows).toHaveLength(2);
});

test("rows take promptsource templates", async () => {
  const jinja = "Sky: {{text}} ||| {{ answer_choices[label] }}";
  const templates = parsePromptTemplates(
    `dataset: own\ntemplates:\n  a: !Template\n    answer_choices: wet ||| dry\n    id: a\n    jinja: "${jinja}"\n    metadata: !TemplateMetadata {}\n    name: sky\n`,
    "own.yaml",
  );
  const { tasks } = renderPrompts(templates, (await read()).rows);
  expect(tasks[0]?.instances.map(({ fields, targets }) => [fields.input, targets[0]])).toEqual([
    ["Sky: rain", "wet"],
    ["Sky: sun", "dry"],
    ["Sky: snow", "wet"],
  ]);
});

test("refusals say what there is", async () => {
  await expect(read({}, "weather")).rejects.toMatchObject({ code: "invalid-argument" });
  await expect(read({ split: "tests" })).rejects.toThrow(/own\/weather: default: .*"tests".*did you mean test\?/);
  await expect(read({ split: "broken" })).rejects.toMatchObject({ code: "invalid-file" });
  await expect(read({}, "own/absent")).rejects.toMatchObject({ code: "unauthorized" });
  await expect(read({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "aborted" });
});

test("files of a split by the Hub's names", () => {
  const choose = (paths: readonly string[], split: string, config?: string) =>
    chooseSplitFiles(paths, { split, config, where: "x" });
  const converted = [
    "cb/train/0001.parquet",
    "cb/train/0000.parquet",
    "rte/partial-train/0000.parquet",
    "rte/test/0000.parquet",
  ];
  expect(choose(converted, "train", "cb")).toEqual({
    config: "cb",
    split: "train",
    files: ["cb/train/0000.parquet", "cb/train/0001.parquet"],
    isComplete: true,
  });
  expect(() => choose(converted, "train")).toThrow("expected a config to be named, found cb, rte");
  expect(() => choose(converted, "train", "rte")).toThrow(/split "train", found test/);
  expect(choose(["plain/train-00000-of-00002-0a1b.parquet"], "train")).toMatchObject({
    config: "plain",
    isComplete: false,
  });
  expect(choose(["train.parquet"], "train")).toMatchObject({ config: "default", isComplete: true });
  expect(() => choose(["data.csv"], "train")).toThrow("refs/convert/parquet");
});

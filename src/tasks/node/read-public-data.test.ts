import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readBigBenchTask } from "./read-big-bench.js";
import { readCopa } from "./read-copa.js";
import { readFieldMap } from "./read-field-map.js";
import { readInstructions } from "./read-instructions.js";
import { readPromptCompletions } from "./read-line-tasks.js";
import { readMultipleChoiceCsv } from "./read-multiple-choice-csv.js";
import { readNaturalInstructions } from "./read-natural-instructions.js";
import { readPromptTemplates } from "./read-prompt-templates.js";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-public-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function write(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(path, content);
  return path;
}

test("MMLU's CSV with and without a line of names, letters and numbers", async () => {
  const named = await readMultipleChoiceCsv(
    await write("sky.csv", 'question,choice0,choice1,answer\n"Is it ""blue"",\nor not?",yes,no,0\n'),
  );
  expect(named).toEqual({
    name: "sky",
    definition: "",
    templates: ["{{ question }}\n{{ options }}\nAnswer:"],
    instances: [
      {
        fields: { question: 'Is it "blue",\nor not?', options: "(A) yes\n(B) no" },
        targets: ["yes"],
        choices: ["yes", "no"],
      },
    ],
  });
  const bare = await readMultipleChoiceCsv(await write("b.csv", "q,1,2,3,4,D\nr,x,x,y,z,C\n"));
  expect(bare.instances.map(({ targets, choices }) => [targets, choices])).toEqual([
    [["4"], ["1", "2", "3", "4"]],
    [["C"], ["A", "B", "C", "D"]],
  ]);
});

test.each<[string, string | Uint8Array, RegExp]>([
  ["an answer that is no option", "q,a,b,C\n", /row 1: expected the answer as A to B or 0 to 1, found "C"/],
  ["an empty option", "q,a,b,A\nq,a,,A\n", /row 2: expected a question/],
  ["too few cells", "q,a\n", /row 1/],
  ["an open quote", '"q,a,b,A\n', /row 1/],
  ["nothing", "question,a,b,answer\n", /expected at least one row/],
  ["other bytes", Uint8Array.of(0xff, 0xfe, 0x41), /UTF-8/],
])("CSV with %s is refused", async (_, content, message) => {
  await expect(readMultipleChoiceCsv(await write("x.csv", content))).rejects.toThrow(message);
});

const document = (...instances: object[]) => JSON.stringify({ Definition: ["d"], Instances: instances });

test("a copy of Natural Instructions by its lists; what is missing and what is bad is told", async () => {
  await write("tasks/task1_a.json", document({ input: "i", output: ["o"] }, { input: "i", output: [""] }));
  await write("tasks/task2_b.json", document({ input: "i", output: "o" }).replace('["d"]', '["d"], "Extra": NaN'));
  await write("tasks/notes.md", "");
  await write("splits/default/train_tasks.txt", "task2_b\ntask9_z\n\n");
  await write("splits/default/dev_tasks.txt", "task9_z\n");
  const all = await readNaturalInstructions(folder);
  expect(all.tasks.map(({ name, instances }) => [name, instances.length])).toEqual([
    ["task1_a", 1],
    ["task2_b", 1],
  ]);
  expect(all.problems).toEqual([expect.stringMatching(/task1_a\.json: Instances\[1\]: expected at least one output/)]);
  const train = await readNaturalInstructions(folder, { split: "train" });
  expect([train.tasks.map(({ name }) => name), train.absent]).toEqual([["task2_b"], ["task9_z"]]);
  await expect(readNaturalInstructions(folder, { split: "dev" })).rejects.toMatchObject({ code: "not-found" });
  await expect(readNaturalInstructions(folder, { split: "none" })).rejects.toMatchObject({ code: "not-found" });
  await expect(readInstructions(join(folder, "tasks/task1_a.json"))).rejects.toThrow("Instances[1]");
});

test("files that are not there or not of the format are named", async () => {
  const absent = join(folder, "absent");
  for (const read of [readBigBenchTask, readCopa, readFieldMap, readMultipleChoiceCsv, readPromptTemplates]) {
    await expect(read(absent)).rejects.toMatchObject({ code: "not-found", message: expect.stringContaining(absent) });
  }
  const yaml = await write("a.yaml", "a: [1\n");
  await expect(readFieldMap(yaml)).rejects.toMatchObject({
    code: "invalid-config",
    message: expect.stringContaining(yaml),
  });
  await expect(readPromptTemplates(yaml)).rejects.toMatchObject({
    code: "invalid-file",
    message: expect.stringContaining(yaml),
  });
  const task = await write("task.json", '{"name": "n", "examples": [{"input": "x", "target": "y"}]}');
  expect((await readBigBenchTask(task)).instances).toHaveLength(1);
  expect((await readFieldMap("recipes/field-maps/copa.yaml")).templates).toBe("super_glue/copa");
});

test("rows without a completion are left out where somebody is told", async () => {
  const path = await write("a.jsonl", '{"prompt":"p","completion":" "}\n\n{"prompt":"p","completion":"c"}\nno\n');
  const problems: string[] = [];
  const { instances } = await readPromptCompletions(path, { onBadRow: (problem) => problems.push(problem) });
  expect(instances).toEqual([{ fields: { input: "p" }, targets: ["c"] }]);
  expect(problems).toEqual([
    expect.stringMatching(/a\.jsonl: line 1: .*completion that is not empty/),
    expect.stringMatching(/a\.jsonl: line 4: expected a JSON object/),
  ]);
  await expect(readPromptCompletions(path)).rejects.toThrow("line 1");
});

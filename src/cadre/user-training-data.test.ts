import { expect, test } from "vitest";
import { type ExpertRecipe, expertRecipeSchema, withOverrides } from "../experts/expert-recipe.js";
import { createUserTaskBuilder, type UserTaskOptions } from "../tasks/build-user-task.js";
import type { UserTask } from "../tasks/user-task.js";
import { createByteTokenizer } from "../tokenizers/byte-tokenizer.js";
import type { TrainingData } from "./training-data.js";
import {
  joinTrainingData,
  MOST_VALIDATION_ROWS,
  type UserTrainingData,
  userTrainingData,
} from "./user-training-data.js";

interface TestRow {
  readonly input: string;
  readonly target: string;
  readonly split?: string;
}

function taskOf(name: string, rows: readonly TestRow[], options: Partial<UserTaskOptions> = {}): UserTask {
  const builder = createUserTaskBuilder(name, { seed: 1, ...options });
  rows.forEach((row, index) => {
    builder.addRow({ ...row }, { file: `${name}.jsonl`, line: index + 1 });
  });
  return builder.finish([`${name}.jsonl`]);
}

function rowsOf(count: number, split?: string): TestRow[] {
  return Array.from({ length: count }, (_, index) => ({
    input: `${split ?? "row"} ${index}`,
    target: index % 2 === 0 ? "yes" : "no",
    ...(split === undefined ? {} : { split }),
  }));
}

async function dataOf(
  task: UserTask,
  changes: Record<string, unknown> = {},
  template?: number,
): Promise<UserTrainingData> {
  const recipe: ExpertRecipe = expertRecipeSchema.parse(withOverrides("mini", changes));
  const tokenizer = await createByteTokenizer();
  return userTrainingData(task, { recipe, tokenizer, ...(template === undefined ? {} : { template }) });
}

const split = (train: number, validation: number): TestRow[] => [
  ...rowsOf(train, "train"),
  ...rowsOf(validation, "validation"),
  ...rowsOf(7, "test"),
];

test("training rows are those of the training split, validation rows those of validation; test rows are never seen", async () => {
  const data = await dataOf(taskOf("tickets", split(20, 10)));
  expect(data).toMatchObject({ name: "tickets", hasChoices: true, rowsOverLimit: 0, truncatedRows: 0 });
  expect(data.trainExamples.map(({ input }) => input)).toEqual(rowsOf(20, "train").map(({ input }) => input));
  expect(data.validation.map(({ example }) => example.input)).toEqual(
    rowsOf(10, "validation").map(({ input }) => input),
  );
  expect(data.train.every(({ targets }) => targets.length === 2)).toBe(true);
});

test("rows above the limit are left out by seed and counted; so are cut ones counted", async () => {
  const task = taskOf("tickets", split(60, 10));
  const data = await dataOf(task, { maxRows: 12, batch: { inputLength: 6 } });
  expect(data).toMatchObject({ rowsOverLimit: 48, truncatedRows: 12 });
  const numbers = data.trainExamples.map(({ instance }) => instance);
  expect(numbers).toHaveLength(12);
  expect(numbers).not.toEqual(Array.from({ length: 12 }, (_, index) => index));
  expect((await dataOf(task, { maxRows: 12, batch: { inputLength: 6 } })).hash).toBe(data.hash);
  expect((await dataOf(task, { maxRows: 12, batch: { inputLength: 6 }, seed: 2 })).hash).not.toBe(data.hash);
});

test("validation stays quick: a part of a large validation split", async () => {
  const data = await dataOf(taskOf("large", split(10, MOST_VALIDATION_ROWS + 50)));
  expect(data.validation).toHaveLength(MOST_VALIDATION_ROWS);
});

test("one template of several", async () => {
  const task = taskOf("forms", rowsOf(40), {
    templates: [{ text: "{{ input }}" }, { name: "second", text: "Is it? {{ input }}" }],
  });
  const both = await dataOf(task);
  const second = await dataOf(task, {}, 1);
  expect(second.name).toBe("forms / second");
  expect(second.train.length * 2).toBe(both.train.length);
  expect(second.trainExamples.every(({ input }) => input.startsWith("Is it?"))).toBe(true);
  expect(second.validation.every(({ example }) => example.input.startsWith("Is it?"))).toBe(true);
});

test("answers without choices are learned as text", async () => {
  const rows = Array.from({ length: 30 }, (_, index) => ({ input: `row ${index}`, target: `answer ${index}` }));
  expect((await dataOf(taskOf("free", rows))).hasChoices).toBe(false);
});

test.each<[string, UserTask, Record<string, unknown>, string]>([
  ["no training rows", taskOf("a", rowsOf(9, "validation")), {}, "a: expected rows to train on"],
  [
    "no validation rows",
    { ...taskOf("a", rowsOf(1)), problemCounts: { syntax: 3 } },
    {},
    "got 1 and 0 beside 3 bad rows; add rows",
  ],
  [
    "one answer",
    taskOf(
      "a",
      rowsOf(30).map((row) => ({ ...row, target: "spam" })),
    ),
    {},
    'found "spam" in all 2',
  ],
  [
    "long choices",
    taskOf("a", rowsOf(30)),
    { batch: { targetLength: 6 } },
    "a.jsonl: line 1: expected choices of at most 6",
  ],
])("%s is said in words", async (_, task, changes, message) => {
  await expect(dataOf(task, changes)).rejects.toMatchObject({
    code: "invalid-file",
    message: expect.stringContaining(message),
  });
});

test("several tasks as one: every training row, a bounded part of the validation rows", async () => {
  const parts: TrainingData[] = [
    await dataOf(taskOf("one", split(20, 300))),
    await dataOf(taskOf("two", split(30, 300)), { batch: { inputLength: 6 } }),
  ];
  const joined = await joinTrainingData(parts, { name: "multitask", seed: 1 });
  expect(joined).toMatchObject({ name: "multitask", hasChoices: true, truncatedRows: 30 });
  expect(joined.train).toEqual(parts.flatMap(({ train }) => train));
  expect(joined.trainLabels).toHaveLength(50);
  expect(joined.validation).toHaveLength(MOST_VALIDATION_ROWS);
  const [one] = parts;
  const fromOne = joined.validation.filter((row) => one?.validation.includes(row)).length;
  expect(fromOne).toBeGreaterThan(150);
  expect(fromOne).toBeLessThan(250);
  const other = await joinTrainingData(parts.slice(0, 1), { name: "multitask", seed: 1 });
  expect(other.hash).not.toBe(joined.hash);
});

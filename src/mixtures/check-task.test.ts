import { expect, test } from "vitest";
import { createUserTaskBuilder, type UserTaskOptions } from "../tasks/build-user-task.js";
import { createByteTokenizer } from "../tokenizers/byte-tokenizer.js";
import { type CheckTaskOptions, checkTask } from "./check-task.js";
import type { TaskCheck } from "./task-check.js";

const tokenizer = await createByteTokenizer();

type Row = Readonly<Record<string, unknown>>;

function check(
  rows: readonly Row[],
  options: Partial<UserTaskOptions> = {},
  { maxRows = 5000, ...asked }: Partial<CheckTaskOptions> = {},
): TaskCheck {
  const builder = createUserTaskBuilder("task", { seed: 1, ...options });
  for (const [index, row] of rows.entries()) builder.addRow(row, { file: "f", line: index + 1 });
  const limits = { inputLength: 16, targetLength: 12, learnsChoices: true, maxRows, ...asked };
  return checkTask(builder.finish(["f"]), { tokenizer, ...limits });
}

const rows = (count: number, label: (index: number) => unknown = (index) => (index % 2 === 0 ? "yes" : "no")): Row[] =>
  Array.from({ length: count }, (_, index) => ({ text: `row ${index}`, label: label(index) }));
const texts = ({ findings }: TaskCheck, level: "problem" | "advice") =>
  findings.filter((finding) => finding.level === level).map(({ text }) => text);

test("a sound task has its figures and nothing to say", () => {
  const result = check(rows(1500));
  expect(result).toMatchObject({
    rows: 1500,
    badRows: 0,
    duplicates: 0,
    conflictCount: 0,
    leakCount: 0,
    nearLeakCount: 0,
  });
  expect(Object.values(result.splitRows).reduce((sum, count) => sum + count)).toBe(1500);
  const [template] = result.templates;
  expect(template?.choices).toEqual(["no", "yes"]);
  expect(
    template?.labels.map(({ label, train, validation, test: judged }) => [label, train + validation + judged]),
  ).toEqual([
    ["no", 750],
    ["yes", 750],
  ]);
  // "row 1499" has 8 bytes and the end token; "no" and "yes" with theirs have 3 and 4.
  expect(template?.inputTokens).toEqual({ measured: 1500, median: 8, percentile95: 9, longest: 9, limit: 16, cut: 0 });
  expect(template?.targetTokens).toEqual({ measured: 1500, median: 7, percentile95: 7, longest: 7, limit: 12, cut: 0 });
  expect(texts(result, "problem")).toEqual([]);
  expect(texts(result, "advice")).toEqual([]);
});

test("repeats, contradictions and leaks are counted and placed", () => {
  const split = (name: string, list: readonly Row[]) => list.map((row) => ({ ...row, split: name }));
  const result = check([
    ...split("train", [
      ...rows(10),
      { text: "row 0 ", label: "yes" },
      { text: "row 1", label: "yes" },
      { text: "Judged, once!", label: "no" },
    ]),
    ...split("train", [{ text: "judged twice", label: "no" }]),
    ...split("validation", [
      { text: "valid", label: "no" },
      { text: "JUDGED TWICE", label: "no" },
    ]),
    ...split("test", [
      { text: "judged once", label: "no" },
      { text: "judged twice", label: "no" },
    ]),
  ]);
  expect(result).toMatchObject({ duplicates: 1, conflictCount: 1, leakCount: 1, nearLeakCount: 2 });
  const place = (line: number) => ({ file: "f", line });
  expect(result.conflicts).toEqual([
    {
      input: "row 1",
      answers: [
        { target: "no", place: place(2) },
        { target: "yes", place: place(12) },
      ],
    },
  ]);
  expect(result.leaks.map(({ place: { line }, of }) => [line, of.place.line])).toEqual([[14, 18]]);
  expect(result.nearLeaks.map(({ place: { line }, of }) => [line, of.place.line])).toEqual([
    [16, 18],
    [13, 17],
  ]);
  expect(texts(result, "problem").join("\n")).toMatch(
    /different answers: 1\.[\s\S]*Left out of training or validation: 1 row whose/,
  );
  expect(texts(result, "advice").join("\n")).toMatch(
    /Repeated rows \(.*\): 1\.[\s\S]*only in case, punctuation or spaces: 2\./,
  );
});

test("repeats that differ in another split are no duplicates", () => {
  const result = check([
    { text: "a", label: "x", split: "train" },
    { text: "b", label: "x", split: "validation" },
    { text: "b", label: "y", split: "validation" },
    { text: "c", label: "y", split: "test" },
  ]);
  expect(result).toMatchObject({ duplicates: 0, conflictCount: 1 });
});

test.each<[string, "problem" | "advice", TaskCheck, RegExp]>([
  ["bad rows", "problem", check([...rows(20), { text: "a" }]), /^Bad rows, which are left out: 1 of 21\./],
  [
    "only bad rows",
    "problem",
    check([{ text: "a" }]),
    /^No expert can be trained: expected rows to train on .*got 0 and 0 beside 1 bad rows; add rows\.$/,
  ],
  ["one row", "problem", check(rows(1)), /^No expert can be trained: .*others for validation, got 1 and 0/],
  ["two rows", "problem", check(rows(2)), /^No expert can be trained: .*different answers, found "(yes|no)" in all 1;/],
  ["one test row", "problem", check(rows(8)), /^Too few test rows \(1\): the result cannot be judged/],
  [
    "rows for judging alone",
    "problem",
    check(rows(3).map((row) => ({ ...row, split: "test" }))),
    /^No expert can be trained: .*got 0 and 0/,
  ],
  [
    "one label",
    "problem",
    check(rows(30, () => "yes")),
    /^No expert can be trained: expected training rows with different answers, found "yes" in all \d+;/,
  ],
  ["few test rows", "advice", check(rows(60)), /an accuracy measured on so few can be off by \d+ percentage points/],
  ["few rows with labels", "advice", check(rows(8)), /2 different answers in few rows/],
  [
    "one large label",
    "advice",
    check(rows(100, (index) => (index < 90 ? "yes" : "no"))),
    /"yes" is the answer of 90 %/,
  ],
  [
    "a rare label",
    "advice",
    check(rows(100, (index) => (index < 2 ? "odd" : index % 2 ? "yes" : "no"))),
    /Fewer than 5 .* "odd"/,
  ],
  [
    "a label without training rows",
    "advice",
    check([...rows(50).map((row) => ({ ...row, split: "train" })), { text: "t", label: "new", split: "test" }]),
    /No training row has the answer "new"/,
  ],
  [
    "labels that differ in case",
    "advice",
    check(rows(90, (index) => ["yes", "Yes ", "no"][index % 3])),
    /"Yes", "yes" differ only/,
  ],
  ["numbers as labels", "advice", check(rows(40, (index) => index % 2)), /The answers are numbers \("0", "1"\)/],
  [
    "long inputs",
    "advice",
    check(rows(40).map((row, index) => ({ ...row, text: `${index} and much more than that` }))),
    /^100 % of the inputs are longer than 16/,
  ],
  [
    "long answers",
    "advice",
    check(rows(40, (index) => `a rather long answer ${index}`)),
    /^100 % of the answers are longer than 12/,
  ],
  [
    "long choices",
    "problem",
    check(rows(40, (index) => ["a long choice", "another"][index % 2])),
    /^No expert can be trained: f: line \d+: expected choices of at most 12 tokens together, got 22 in 2 choices; shorten/,
  ],
  ["unused fields", "advice", check(rows(40).map((row) => ({ ...row, id: 1 }))), /Not used: the field "id"/],
  ["more rows than are trained on", "advice", check(rows(100), {}, { maxRows: 50 }), /the recipe takes 50/],
])("%s", (_name, level, result, message) => {
  expect(texts(result, level).some((text) => message.test(text))).toBe(true);
});

test("each template is measured, and named in what is said of it", () => {
  const templates = [{ text: "{{ text }}" }, { name: "long", text: "Please sort this text: {{ text }}" }];
  const result = check(rows(50), { templates });
  expect(result.templates.map(({ inputTokens }) => inputTokens.cut)).toEqual([0, 50]);
  expect(Object.values(result.splitRows).reduce((sum, count) => sum + count)).toBe(50);
  expect(texts(result, "advice").some((text) => text.startsWith("long: 100 % of the inputs"))).toBe(true);
});

test("answers that contradict across splits are found although the training row is left out", () => {
  const result = check([
    ...rows(10).map((row) => ({ ...row, split: "train" })),
    { text: "both", label: "yes", split: "train" },
    { text: "v", label: "no", split: "validation" },
    { text: " both", label: "no", split: "test" },
    { text: "t", label: "no", split: "test" },
  ]);
  expect(result).toMatchObject({ leakCount: 1, conflictCount: 1, splitRows: { train: 10, validation: 1, test: 2 } });
  expect(result.conflicts).toEqual([
    {
      input: "both",
      answers: [
        { target: "no", place: { file: "f", line: 13 } },
        { target: "yes", place: { file: "f", line: 11 } },
      ],
    },
  ]);
  expect(result.leaks).toEqual([
    { split: "train", place: { file: "f", line: 11 }, of: { split: "test", place: { file: "f", line: 13 } } },
  ]);
});

test("a recipe that learns the answer alone does not mind long choices, and its answers are measured alone", () => {
  const labels = ["a long choice", "another"];
  const result = check(
    rows(40, (index) => labels[index % 2]),
    {},
    { learnsChoices: false },
  );
  expect(result.refusal).toBeUndefined();
  expect(result.templates[0]).toMatchObject({ targetTokensOf: "answer", targetTokens: { longest: 14, cut: 20 } });
  expect(texts(result, "advice").join("\n")).toMatch(/50 % of the answers are longer than 12 tokens/);
});

test("choices that could not be scored are refused whatever the recipe, with the row", () => {
  const choices = ["x".repeat(3000), "y".repeat(3000)];
  const long = rows(40).map((row, index) => ({ ...row, label: choices[index % 2], choices }));
  expect(check(long, {}, { learnsChoices: false }).refusal).toMatch(
    /^f: line \d+: expected choices of at most 4096 tokens together, got 6002 in 2 choices; shorten them$/,
  );
});

test("a training split with one answer is refused although the other splits have more", () => {
  const result = check([
    ...rows(30, () => "yes").map((row) => ({ ...row, split: "train" })),
    { text: "v", label: "no", split: "validation" },
    { text: "t", label: "no", split: "test" },
    { text: "u", label: "yes", split: "test" },
  ]);
  expect(result.refusal).toMatch(/found "yes" in all 30/);
  expect(texts(result, "problem").filter((text) => text.startsWith("No expert can be trained"))).toHaveLength(1);
});

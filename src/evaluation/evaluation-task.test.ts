import fc from "fast-check";
import { expect, test } from "vitest";
import type { SplitName, UserExample, UserTask, UserTaskTemplate } from "../tasks/user-task.js";
import { evaluationTaskOf } from "./evaluation-task.js";

const LETTERS = ["x", "y", "z"];

function template(name: string): UserTaskTemplate {
  return { name, choicesFrom: "none", choicesNote: "", distinctTargets: 3 };
}

interface Row {
  readonly split: SplitName;
  readonly target: string;
  readonly choices?: readonly string[];
}

/** Every row by two templates, the second one's examples behind the first one's. */
function userTask(rows: readonly Row[]): Pick<UserTask, "name" | "files" | "templates" | "splits"> {
  const examplesOf = (split: SplitName): UserExample[] =>
    [0, 1].flatMap((number) =>
      rows.flatMap(({ split: own, target, choices }, instance) =>
        own === split
          ? [
              {
                ...{ instance, template: number, input: `${number}: row ${instance}`, targets: [target] },
                ...(choices === undefined ? {} : { choices }),
                place: { file: "letters.jsonl", line: instance + 1 },
              },
            ]
          : [],
      ),
    );
  return {
    ...{ name: "letters", files: ["letters.jsonl"], templates: [template("short"), template("long")] },
    splits: { train: examplesOf("train"), validation: examplesOf("validation"), test: examplesOf("test") },
  };
}

const arbitraryRows = fc.array(
  fc.record({
    split: fc.constantFrom<SplitName>("train", "validation", "test"),
    target: fc.constantFrom(...LETTERS),
    choices: fc.constant(LETTERS),
  }),
  { minLength: 2, maxLength: 30 },
);

test("a task is judged by its test rows, sampled with all their templates", () => {
  fc.assert(
    fc.property(arbitraryRows, fc.integer({ min: 2, max: 12 }), fc.nat(99), (rows, most, seed) => {
      const source = userTask(rows);
      const { task } = evaluationTaskOf(source, { suite: "seen", most, seed });
      const available = rows.flatMap(({ split }, index) => (split === "test" ? [`${index}`] : []));
      if (available.length < 2) {
        expect(task).toBeUndefined();
        return;
      }
      const found = task?.rows ?? [];
      const sampled = [...new Set(found.map(({ instance }) => instance))];
      expect(sampled).toHaveLength(Math.min(most, available.length));
      expect(available).toEqual(expect.arrayContaining(sampled));
      for (const instance of sampled) {
        const row = rows[Number(instance)];
        expect(found.filter((one) => one.instance === instance)).toEqual([
          { instance, template: "short", input: `0: row ${instance}`, targets: [row?.target] },
          { instance, template: "long", input: `1: row ${instance}`, targets: [row?.target] },
        ]);
      }
      expect(evaluationTaskOf(source, { suite: "seen", most, seed }).task).toEqual(task);
      expect(task?.choices).toEqual(LETTERS);
      expect(task?.metric).toBe("accuracy");
    }),
  );
});

const train: readonly Row[] = ["z", "y", "z"].map((target) => ({ split: "train", target, choices: LETTERS }));
const two = (...choices: readonly (readonly string[] | undefined)[]): Row[] =>
  choices.map((own) => ({ split: "test", target: "x", ...(own === undefined ? {} : { choices: own }) }));

test("the majority is that of the training rows, whatever the test rows say", () => {
  const options = { suite: "unseen", seed: 1 } as const;
  expect(evaluationTaskOf(userTask([...train, ...two(LETTERS, LETTERS)]), options).task).toMatchObject({
    suite: "unseen",
    majority: "z",
  });
  expect(evaluationTaskOf(userTask(two(LETTERS, LETTERS)), options).task).not.toHaveProperty("majority");
});

test("templates with answers of their own have majorities of their own", () => {
  const source = userTask([...train, ...two(LETTERS, LETTERS)]);
  const inWords = (examples: readonly UserExample[]): UserExample[] =>
    examples.map((example) =>
      example.template === 0
        ? example
        : {
            ...example,
            targets: example.targets.map((target) => `letter ${target}`),
            choices: ["letter x", "letter z"],
          },
    );
  const splits = { ...source.splits, train: inWords(source.splits.train), test: inWords(source.splits.test) };
  const task = evaluationTaskOf({ ...source, splits }, { suite: "seen", seed: 1 }).task;
  expect(task).toMatchObject({ majorityByTemplate: { short: "z", long: "letter z" } });
  expect(task).not.toHaveProperty("majority");
});

test("rows keep choices that differ; where a row has none, all are answered in writing", () => {
  const options = { suite: "seen", seed: 1 } as const;
  const differing = evaluationTaskOf(userTask(two(LETTERS, ["x", "w"])), options).task;
  expect(differing).not.toHaveProperty("choices");
  expect(differing?.metric).toBe("accuracy");
  expect(differing?.rows.map(({ choices }) => choices)).toEqual([LETTERS, LETTERS, ["x", "w"], ["x", "w"]]);
  const some = evaluationTaskOf(userTask(two(LETTERS, undefined)), options).task;
  expect(some?.metric).toBe("exact match");
  const none = evaluationTaskOf(userTask(two(undefined, undefined)), options).task;
  expect(none?.metric).toBe("exact match");
  expect(none).not.toHaveProperty("choices");
});

test.each([0, 1])("with %d test rows a task cannot be judged, and says why", (count) => {
  const rows = [...train, ...two(LETTERS).slice(0, count)];
  expect(evaluationTaskOf(userTask(rows), { suite: "seen", seed: 1 })).toEqual({
    task: undefined,
    reason: `task "letters" (letters.jsonl): expected two test rows or more to judge by, found ${count}; add rows, or a test file or split`,
  });
});

import { expect, test } from "vitest";
import { fakeResults, fakeTask } from "../evaluation/comparison.test.helpers.js";
import type { UserExample } from "../tasks/user-task.js";
import { oneAnswerTasks, withoutTasks } from "./elm-left-out.js";

const taskOf = (name: string, answers: readonly (readonly string[])[]) => ({
  name,
  splits: {
    train: [],
    validation: [],
    test: answers.flatMap((own, template) =>
      own.map(
        (answer, instance): UserExample => ({
          ...{ input: `${instance}`, targets: [answer], template, instance },
          place: { file: name, line: instance + 1 },
        }),
      ),
    ),
  },
});

test("a task is found whose rows all have one answer by each template", () => {
  const tasks = [
    taskOf("one", [
      ["yes", "yes"],
      ["True", "True"],
    ]),
    taskOf("two", [
      ["yes", "no"],
      ["True", "False"],
    ]),
    taskOf("half", [
      ["yes", "yes"],
      ["a", "b"],
    ]),
  ];
  expect(oneAnswerTasks(tasks)).toEqual(["one"]);
});

test("results without a task have nothing of it", async () => {
  const tasks = ["one", "two"].map((name) => fakeTask(name, { suite: "unseen", instances: 4 }));
  const scores = () => [1, 0];
  const results = await fakeResults({
    ...{ tasks, scorers: { base: scores, "expert:e": scores }, router: () => "e" },
    experts: [{ id: "e", task: "elsewhere" }],
  });
  const left = withoutTasks(results, ["one"]);
  expect([left.tasks.length, left.routes.length, left.cells.length]).toEqual([1, 1, 2]);
  expect(JSON.stringify([left.tasks, left.routes, left.cells])).not.toContain('"one"');
});

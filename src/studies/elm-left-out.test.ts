import { expect, test } from "vitest";
import type { UserExample } from "../tasks/user-task.js";
import { oneAnswerTasks } from "./elm-left-out.js";

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

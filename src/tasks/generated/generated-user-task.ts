import { at } from "../../core/at.js";
import { madeUserTask } from "../made-user-task.js";
import type { Task } from "../task.js";
import { renderExample } from "../template.js";
import { SPLITS, type SplitName, type UserExample, type UserTask } from "../user-task.js";
import { type GeneratedTask, generateSplits, type SplitOptions } from "./generated-task.js";

/**
 * A generated task in the form that a person's own tasks have. Every instance is shown by one of the templates, in turn, and told which answers
 * there are by the choices alone.
 * @throws CadreError `invalid-argument` as `generateSplits`.
 */
export function generatedUserTask(generated: GeneratedTask, options: SplitOptions): UserTask {
  const splits = generateSplits(generated, options);
  const { name, choices, templates } = generated;
  let instances = 0;
  const examplesOf = (split: SplitName): UserExample[] => {
    const task: Task = splits[split];
    return task.instances.map((instance, index): UserExample => {
      const template = index % templates.length;
      const place = { file: `generated ${name} (${split})`, line: index + 1 };
      return { ...renderExample(task, instance, at(templates, template)), instance: instances++, template, place };
    });
  };
  const [train = [], validation = [], test = []] = SPLITS.map(examplesOf);
  const targets = [...train, ...validation, ...test].map((example) => example.targets[0]);
  return madeUserTask({
    name,
    files: [],
    templates: templates.map((_, index) => ({
      name: `template ${index + 1}`,
      ...(choices === undefined ? {} : { choices }),
      choicesFrom: choices === undefined ? "none" : "option",
      choicesNote:
        choices === undefined ? "the task has no choices that all its rows share" : "those of the generated task",
      distinctTargets: new Set(targets).size,
    })),
    splits: { train, validation, test },
    splitFrom: "made",
    splitsMade: SPLITS,
    instances,
  });
}

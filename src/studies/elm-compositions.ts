import { CadreError } from "../core/errors.js";
import { createRandom, hashText } from "../core/random.js";
import { generatedUserTask } from "../tasks/generated/generated-user-task.js";
import { findGeneratedTask, type SplitOptions } from "../tasks/generated/index.js";
import { madeUserTask } from "../tasks/made-user-task.js";
import type { Task } from "../tasks/task.js";
import type { UserExample, UserTask } from "../tasks/user-task.js";

/** A task that takes two others, and these. Nobody is trained on it. */
export interface Composition {
  readonly name: string;
  readonly parts: readonly [UserTask, UserTask];
  readonly composed: UserTask;
}

/** A generated task that chains two others. @throws CadreError `not-found`; `invalid-argument` where it chains none. */
export function generatedComposition(name: string, rows: SplitOptions): Composition {
  const composed = findGeneratedTask(name);
  if (composed.composes === undefined) {
    throw new CadreError("invalid-argument", `${name}: expected a task that is composed of two`);
  }
  const [first, second] = composed.composes.map((part) => generatedUserTask(findGeneratedTask(part), rows));
  if (first === undefined || second === undefined) throw new CadreError("internal", `${name}: expected two parts`);
  return { name, parts: [first, second], composed: generatedUserTask(composed, rows) };
}

/**
 * Two tasks over the same inputs, such as the capital and the currency of a country, both asked at once: both definitions before the input, and both answers. The
 * composed rows are those that the parts are trained on, as what they ask for cannot be known otherwise; what is new is the composition.
 * @throws CadreError `invalid-argument` where fewer inputs are shared than rows to validate and two to train on.
 */
export function jointComposition(
  name: string,
  [first, second]: readonly [Task, Task],
  limits: { readonly validation: number; readonly test: number },
): Composition {
  const answers = new Map(second.instances.map(({ fields: { input = "" }, targets }) => [input, targets]));
  const shared = first.instances.flatMap(({ fields: { input = "" }, targets }) => {
    const others = answers.get(input);
    return others === undefined ? [] : [{ input, first: targets, second: others }];
  });
  const rows = createRandom(hashText(name)).shuffle(shared);
  if (rows.length < limits.validation + 2) {
    throw new CadreError(
      "invalid-argument",
      `${name}: expected ${limits.validation + 2} inputs or more that ${first.name} and ${second.name} share, found ${rows.length}`,
    );
  }
  const exampleOf =
    (part: string, definitions: readonly string[]) =>
    (input: string, targets: readonly string[], index: number): UserExample => ({
      input: [...definitions, input].join("\n"),
      targets,
      instance: index,
      template: 0,
      place: { file: part, line: index + 1 },
    });
  const partOf = (task: Task, side: "first" | "second"): UserTask => {
    const example = exampleOf(task.name, [task.definition]);
    const examples = rows.map((row, index) => example(row.input, row[side], index));
    return userTask(task.name, {
      train: examples.slice(limits.validation),
      validation: examples.slice(0, limits.validation),
      test: [],
    });
  };
  const both = exampleOf(name, [first.definition, second.definition]);
  const known = rows.slice(limits.validation, limits.validation + limits.test);
  const composed = userTask(name, {
    train: [],
    validation: [],
    test: known.map((row, index) =>
      both(
        row.input,
        row.first.flatMap((one) => row.second.map((other) => `${one}, ${other}`)),
        index,
      ),
    ),
  });
  return { name, parts: [partOf(first, "first"), partOf(second, "second")], composed };
}

function userTask(name: string, splits: UserTask["splits"]): UserTask {
  const all = Object.values(splits).flat();
  return madeUserTask({
    name,
    files: [],
    templates: [
      {
        name: "definition and input",
        choicesFrom: "none",
        choicesNote: "answers are written",
        distinctTargets: new Set(all.map(({ targets }) => targets[0])).size,
      },
    ],
    splits,
    splitFrom: "made",
    splitsMade: [],
    instances: all.length,
  });
}

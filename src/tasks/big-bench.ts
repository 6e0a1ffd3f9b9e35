import * as z from "zod";
import { CadreError } from "../core/errors.js";
import { parseConfig } from "../core/parse-config.js";
import { INPUT_TEMPLATE } from "./instructions.js";
import type { Instance, Task } from "./task.js";

const exampleSchema = z
  .looseObject({
    input: z.string(),
    target: z.union([z.string(), z.array(z.string()).min(1)]).optional(),
    target_scores: z.record(z.string(), z.number()).optional(),
  })
  .refine(
    ({ target, target_scores: scores }) => target !== undefined || scores !== undefined,
    "expected target or target_scores",
  );

const taskSchema = z.looseObject({
  name: z.string().min(1),
  description: z.string().default(""),
  task_prefix: z.string().default(""),
  example_input_prefix: z.string().default("\nQ: "),
  example_output_prefix: z.string().default("\nA: "),
  choice_prefix: z.string().default("\n  choice: "),
  append_choices_to_input: z.boolean().default(true),
  examples: z.array(z.unknown()).min(1),
});

/**
 * A task from a BIG-bench `task.json`, with BIG-bench's own defaults for prefixes. The prefix of the task, or else its description, is the definition; an
 * instance's input is prefixed, followed by its choices where the task wants that, and by what comes before the answer. Choices are the keys of
 * `target_scores`, and all those of the highest score are accepted; names of choices that are whole numbers come first, by size (JavaScript keeps no other
 * order of theirs). Instances without scores have the answers in `target` and no choices.
 * @param where names the document in messages: a path
 * @throws CadreError `invalid-file` that names the example (from 0), what was expected and what was found.
 */
export function parseBigBenchTask(value: unknown, where: string): Task {
  const task = parseConfig(taskSchema, value, { where, code: "invalid-file" });
  return {
    name: task.name,
    definition: (task.task_prefix.trim() || task.description).trim(),
    templates: [INPUT_TEMPLATE],
    instances: task.examples.map((example, index) => parseExample(example, task, `${where}: examples[${index}]`)),
  };
}

function parseExample(value: unknown, task: z.output<typeof taskSchema>, where: string): Instance {
  const { input, target, target_scores: scores } = parseConfig(exampleSchema, value, { where, code: "invalid-file" });
  const choices = scores === undefined ? undefined : Object.keys(scores);
  const highest = Math.max(...Object.values(scores ?? {}));
  const targets = (choices?.filter((choice) => scores?.[choice] === highest) ?? [target ?? []].flat()).map((text) =>
    text.trim(),
  );
  const listed =
    task.append_choices_to_input && choices !== undefined ? choices.map((choice) => task.choice_prefix + choice) : [];
  const text = [task.example_input_prefix, input, ...listed, task.example_output_prefix].join("").trim();
  const distinct = choices && [...new Set(choices.map((choice) => choice.trim()))];
  if (text === "" || targets.length === 0 || targets.includes("") || (distinct && distinct.length < 2)) {
    throw new CadreError(
      "invalid-file",
      `${where}: expected an input, an answer that is not empty, and two choices or more or none, found ${JSON.stringify({ targets, choices })}`,
    );
  }
  return { fields: { input: text }, targets: [...new Set(targets)], ...(distinct ? { choices: distinct } : {}) };
}

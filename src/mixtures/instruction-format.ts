import { at } from "../core/at.js";
import type { Random } from "../core/random.js";
import type { Example, Instance, Task } from "../tasks/task.js";
import { renderTemplate } from "../tasks/template.js";

/** How the answers to choose from are written below an input. */
const OPTION_LISTS: readonly ((choices: readonly string[]) => string)[] = [
  (choices) => `Options: ${choices.join(", ")}`,
  (choices) => `OPTIONS:\n${choices.map((choice) => `- ${choice}`).join("\n")}`,
  (choices) => `Choose one of: ${choices.join(" | ")}`,
  (choices) => `Possible answers: ${choices.join("; ")}`,
  (choices) => choices.map((choice) => `(${choice})`).join(" "),
];

/** Longer definitions are left out: they would crowd out the instance. */
const MAX_DEFINITION_CHARACTERS = 300;

/** Most answers that are listed. */
const MAX_LISTED_CHOICES = 20;

/**
 * Renders an instance in one of many wordings: a random template, the definition before or after it or not at all, the choices listed in
 * random order and one of several ways, or not at all. Choices that differ between instances are always listed: nothing else says what
 * they are.
 */
export function formatInstruction(
  task: Pick<Task, "definition" | "templates" | "choices">,
  instance: Instance,
  random: Random,
): Example {
  const template = at(task.templates, random.nextInteger(task.templates.length));
  const parts = [renderTemplate(template, instance.fields).trim()];
  const placement = random.nextFloat();
  if (task.definition !== "" && task.definition.length <= MAX_DEFINITION_CHARACTERS) {
    if (placement < 0.35) {
      parts.unshift(task.definition);
    } else if (placement < 0.5) {
      parts.push(task.definition);
    }
  }
  const listed = random.nextFloat() < 0.5;
  const list = at(OPTION_LISTS, random.nextInteger(OPTION_LISTS.length));
  const shown = instance.choices ?? (listed ? task.choices : undefined);
  if (shown !== undefined && shown.length <= MAX_LISTED_CHOICES) {
    parts.push(list(random.shuffle([...shown])));
  }
  const choices = instance.choices ?? task.choices;
  return { input: parts.join("\n"), targets: instance.targets, ...(choices === undefined ? {} : { choices }) };
}

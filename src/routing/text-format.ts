import * as z from "zod";
import type { Example } from "../tasks/task.js";

/** What routing may look at. There is no place for an answer: a router that saw one would choose by what it is to find out. */
export interface RoutingText {
  /** The rendered input. */
  readonly input: string;
  /** The answers to choose from. */
  readonly choices?: readonly string[];
  /** The template of these answers as promptsource writes it, e.g. `yes ||| no` or `{{ options | join("|||") }}`; default: the choices joined by ` ||| `. */
  readonly answerChoices?: string;
}

/** The names of the text formats, which are those of ELM's configurations. */
export const textFormatSchema = z.enum([
  "choice",
  "choice_instance",
  "instance",
  "label",
  "label_instance",
  "choice_new",
  "choice_instance_new",
  "instance_new",
  "label_new",
  "label_instance_new",
]);

/**
 * How a text for routing is written before it is embedded, as in ELM. `choice` is the template of the answers, `label` the answers themselves
 * (never the right one), `instance` the input; formats ending in `_new` leave out the words around them.
 */
export type TextFormat = z.infer<typeof textFormatSchema>;

/** What ELM's best configuration uses. */
export const DEFAULT_TEXT_FORMAT: TextFormat = "choice_instance";

/**
 * Writes a text in a format. Without answers, a template of answers reads `None` and a list of answers is empty, as in ELM, so that both sides
 * of a search write the same.
 */
export function formatText(text: RoutingText, format: TextFormat): string {
  const labels = (text.choices ?? []).join(", ");
  const choices = text.answerChoices ?? text.choices?.join(" ||| ") ?? "None";
  switch (format) {
    case "choice":
      return `Answer Choices: ${choices}`;
    case "choice_instance":
      return `Answer Choices: ${choices}, Instance: ${text.input}`;
    case "instance":
      return `Instance: ${text.input}`;
    case "label":
      return `Answer Choices: ${labels}`;
    case "label_instance":
      return `Answer Choices: ${labels}, Instance: ${text.input}`;
    case "choice_new":
      return choices;
    case "choice_instance_new":
      return `${choices}</s>${text.input}`;
    case "instance_new":
      return text.input;
    case "label_new":
      return labels;
    case "label_instance_new":
      return `${labels}</s>${text.input}`;
  }
}

/** What routing sees of an example. */
export function routingTextOf({ input, choices }: Pick<Example, "input" | "choices">): RoutingText {
  return choices === undefined ? { input } : { input, choices };
}

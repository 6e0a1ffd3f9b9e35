import * as z from "zod";
import { CadreError } from "../core/errors.js";
import { parseConfig } from "../core/parse-config.js";
import type { Instance, Task } from "./task.js";

/** The template of a task whose instances are whole inputs already: their field `input` as it is. */
export const INPUT_TEMPLATE = "{{ input }}";

const textSchema = z.union([z.string(), z.array(z.string()).transform((parts) => parts.join("\n"))]);

const documentSchema = z.looseObject({
  Title: z.string().optional(),
  Prompt: z.string().optional(),
  Definition: textSchema.optional(),
  Instances: z.array(z.unknown()).min(1),
});

const instanceSchema = z.looseObject({
  input: z.string().min(1),
  output: z.union([z.string(), z.array(z.string())]).transform((output) => {
    const answers = typeof output === "string" ? [output] : output;
    return answers.filter((answer) => answer.trim() !== "");
  }),
});

/** Options of {@link parseInstructions}. */
export interface InstructionsOptions {
  /** Name of the task. */
  readonly name: string;
  /** What errors call the document, its path for instance. */
  readonly where: string;
  /** The answers to choose from; without them the task has no choices. */
  readonly choices?: readonly string[];
  /** Told of each bad instance, which is left out then; without it the first one is an error. */
  readonly onBadInstance?: (problem: string) => void;
}

/**
 * A task from a `{ Definition, Instances: [{ input, output }] }` document, the schema of Natural Instructions 1 and
 * 2. `Definition` is a string or a list of them; where it is missing, `Prompt` or `Title` (version 1) takes its place.
 * `output` is one answer or a list of accepted ones; empty answers are left out. Other fields are ignored. An instance
 * has the one field `input`, and the task the one template that prints it.
 * @throws CadreError `invalid-file` that names the instance (from 0), what was expected and what was found: no
 *   instances, an empty input, no answer, or an answer that is none of the choices.
 */
export function parseInstructions(value: unknown, options: InstructionsOptions): Task {
  const { name, where, choices, onBadInstance } = options;
  const document = parseConfig(documentSchema, value, { where, code: "invalid-file" });
  const instances = document.Instances.flatMap((instance, index) => {
    try {
      return [parseInstance(instance, choices, `${where}: Instances[${index}]`)];
    } catch (error) {
      if (onBadInstance === undefined || !CadreError.isInstance(error)) throw error;
      onBadInstance(error.message);
      return [];
    }
  });
  return {
    name,
    definition: (document.Definition ?? document.Prompt ?? document.Title ?? "").trim(),
    ...(choices === undefined ? {} : { choices }),
    templates: [INPUT_TEMPLATE],
    instances,
  };
}

function parseInstance(value: unknown, choices: readonly string[] | undefined, where: string): Instance {
  const { input, output } = parseConfig(instanceSchema, value, { where, code: "invalid-file" });
  if (output.length === 0) {
    throw new CadreError("invalid-file", `${where}: expected at least one output that is not empty, found none`);
  }
  const strange = choices === undefined ? undefined : output.find((answer) => !choices.includes(answer));
  if (strange !== undefined) {
    throw new CadreError(
      "invalid-file",
      `${where}: expected an output among ${JSON.stringify(choices)}, found ${JSON.stringify(strange)}`,
    );
  }
  return { fields: { input }, targets: output };
}

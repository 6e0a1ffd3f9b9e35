import { type CollectionTag, parseDocument } from "yaml";
import * as z from "zod";
import { CadreError } from "../../core/errors.js";
import { parseConfig } from "../../core/parse-config.js";
import { compilePromptTemplate, type PromptTemplate, type PromptTemplateSource } from "./prompt-template.js";

/** The templates of one data set. */
export interface PromptTemplates {
  /** `super_glue/cb`: the data set with its subset, where it has one. */
  readonly dataset: string;
  /** In the order of the file. */
  readonly templates: readonly PromptTemplate[];
}

const templateSchema = z
  .looseObject({
    id: z.string(),
    name: z.string().min(1),
    jinja: z.string(),
    answer_choices: z.string().nullable(),
    reference: z.string().nullish(),
    metadata: z.looseObject({
      original_task: z.boolean().nullish(),
      choices_in_prompt: z.boolean().nullish(),
      metrics: z.array(z.string()).nullish(),
      languages: z.array(z.string()).nullish(),
    }),
  })
  .transform(
    ({ id, name, jinja, answer_choices: answerChoices, reference, metadata }): PromptTemplateSource => ({
      id,
      name,
      jinja,
      ...(answerChoices === null ? {} : { answerChoices }),
      reference: reference ?? "",
      originalTask: metadata.original_task ?? false,
      choicesInPrompt: metadata.choices_in_prompt ?? false,
      metrics: metadata.metrics ?? [],
      languages: metadata.languages ?? [],
    }),
  );

const fileSchema = z.looseObject({
  dataset: z.string().min(1),
  subset: z.string().nullish(),
  templates: z.record(z.string(), templateSchema),
});

/** The classes that promptsource writes, as plain maps. */
const TAGS: CollectionTag[] = ["!Template", "!TemplateMetadata"].map((tag) => ({
  tag,
  collection: "map",
  resolve: (map) => map,
}));

/**
 * The templates of a `templates.yaml` of promptsource: YAML 1.1, as PyYAML writes it, with its tags `!Template` and `!TemplateMetadata`; any other tag is
 * refused.
 * @param where names the text in messages: a path
 * @throws CadreError `invalid-file` with the line, or with the template that is wrong.
 */
export function parsePromptTemplates(text: string, where: string): PromptTemplates {
  const document = parseDocument(text, { version: "1.1", customTags: (tags) => [...tags, ...TAGS] });
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined) throw new CadreError("invalid-file", `${where}: expected YAML: ${problem.message}`);
  let value: unknown;
  try {
    value = document.toJS();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CadreError("invalid-file", `${where}: expected YAML: ${reason}`, { cause });
  }
  const { dataset, subset, templates } = parseConfig(fileSchema, value, { where, code: "invalid-file" });
  const names = new Set<string>();
  return {
    dataset: subset ? `${dataset}/${subset}` : dataset,
    templates: Object.values(templates).map((source) => {
      const place = `${where}: template ${JSON.stringify(source.name)}`;
      if (names.has(source.name)) throw new CadreError("invalid-file", `${place}: expected names that differ`);
      names.add(source.name);
      return compileIn(place, source);
    }),
  };
}

function compileIn(place: string, source: PromptTemplateSource): PromptTemplate {
  try {
    return compilePromptTemplate(source);
  } catch (error) {
    if (!CadreError.isInstance(error)) throw error;
    throw new CadreError("invalid-file", `${place}: ${error.message}`, { cause: error });
  }
}

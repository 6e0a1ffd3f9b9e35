import { createRandom, hashText, randomUint32 } from "../../core/random.js";
import { INPUT_TEMPLATE } from "../instructions.js";
import type { RawRow } from "../row-values.js";
import type { Instance, Task } from "../task.js";
import type { PromptTemplates } from "./parse-prompt-templates.js";
import type { PromptTemplate } from "./prompt-template.js";

/** Rows that a template could not render for one reason. */
export interface PromptProblem {
  /** The field that is missing or wrong, as the template calls it, where that is known. */
  readonly field?: string;
  /** Of the first such row: what was expected and found. */
  readonly problem: string;
  readonly rows: number;
  /** From 1. */
  readonly firstRow: number;
}

/** How a template fared; `rows` = `rendered` + `skipped` + the rows of all problems. */
export interface PromptTemplateReport {
  readonly name: string;
  readonly id: string;
  readonly rows: number;
  readonly rendered: number;
  /** Rows of which the template wants no example. */
  readonly skipped: number;
  /** Of the rendered ones, those whose target is none of the answer choices. */
  readonly withoutChoices: number;
  /** Most frequent first. */
  readonly problems: readonly PromptProblem[];
}

/** How the templates of a data set fared, as JSON. */
export interface PromptReport {
  readonly dataset: string;
  readonly rows: number;
  /** Templates that rendered a row at least. */
  readonly usable: number;
  readonly templates: readonly PromptTemplateReport[];
}

/** Options of {@link renderPrompts}. */
export interface RenderPromptsOptions {
  /** Decides the filter `choice`, in [0, 2^32); default 1. A row's choices do not depend on other rows or templates. */
  readonly seed?: number;
}

/**
 * Renders rows by every template: a task for each that renders one at least, named `<data set>/<template>`, whose instances are whole inputs. Instances
 * have choices where all rendered rows of the template have; see {@link PromptTemplateReport} for what was left out.
 */
export function renderPrompts(
  { dataset, templates }: PromptTemplates,
  rows: readonly RawRow[],
  { seed = 1 }: RenderPromptsOptions = {},
): { readonly tasks: readonly Task[]; readonly report: PromptReport } {
  const results = templates.map((template) => renderTemplate(template, rows, { dataset, seed }));
  const tasks = results.flatMap(({ task }) => (task.instances.length > 0 ? [task] : []));
  return {
    tasks,
    report: { dataset, rows: rows.length, usable: tasks.length, templates: results.map(({ report }) => report) },
  };
}

function renderTemplate(
  template: PromptTemplate,
  rows: readonly RawRow[],
  { dataset, seed }: { readonly dataset: string; readonly seed: number },
): { readonly task: Task; readonly report: PromptTemplateReport } {
  const instances: Instance[] = [];
  const problems = new Map<string, PromptProblem>();
  let skipped = 0;
  let withoutChoices = 0;
  const stream = hashText(`${dataset}/${template.id}`);
  for (const [index, row] of rows.entries()) {
    const random = createRandom(randomUint32(seed, index), stream);
    const rendered = template.render(row, (count) => random.nextInteger(count));
    if (rendered.kind === "skipped") skipped++;
    else if (rendered.kind === "problem") {
      const { field, problem } = rendered;
      const key = field ?? problem;
      const known = problems.get(key) ?? { ...(field ? { field } : {}), problem, rows: 0, firstRow: index + 1 };
      problems.set(key, { ...known, rows: known.rows + 1 });
    } else {
      const { input, ...answers } = rendered.example;
      if (!rendered.targetIsChoice) withoutChoices++;
      instances.push({ fields: { input }, ...answers });
    }
  }
  const allHaveChoices = instances.every(({ choices }) => choices !== undefined);
  return {
    task: {
      name: `${dataset}/${template.name}`,
      definition: "",
      templates: [INPUT_TEMPLATE],
      instances: allHaveChoices ? instances : instances.map(({ fields, targets }) => ({ fields, targets })),
    },
    report: {
      name: template.name,
      id: template.id,
      rows: rows.length,
      rendered: instances.length,
      skipped,
      withoutChoices,
      problems: [...problems.values()].sort((one, other) => other.rows - one.rows),
    },
  };
}

/** A report as text: a line for the data set and one for each template that did not render every row, with the field at fault. */
export function describePromptReport({ dataset, rows, usable, templates }: PromptReport): string {
  const lines = templates.flatMap(({ name, rendered, skipped, withoutChoices, problems }) => {
    if (rendered === rows && withoutChoices === 0) return [];
    const notes = [
      ...(skipped > 0 ? [`${skipped} skipped by the template`] : []),
      ...(withoutChoices > 0 ? [`${withoutChoices} whose target is no choice`] : []),
      ...problems.map((problem) => `${problem.rows} from row ${problem.firstRow} on: ${problem.problem}`),
    ];
    return [`  ${name}: ${rendered} of ${rows} rows; ${notes.join("; ")}`];
  });
  return [
    `${dataset}: ${usable} of ${templates.length} templates rendered ${rows} rows or some of them`,
    ...lines,
  ].join("\n");
}

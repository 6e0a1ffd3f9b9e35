import { open } from "node:fs/promises";
import { extname, resolve } from "node:path";
import { at } from "../../core/at.js";
import { CadreError } from "../../core/errors.js";
import { wrapSystemError } from "../../core/node/system-error.js";
import { createRandom } from "../../core/random.js";
import { findGeneratedTask, generateSplits, instanceText } from "../../tasks/generated/index.js";
import { INPUT_TEMPLATE } from "../../tasks/instructions.js";
import { ROW_READERS } from "../../tasks/node/file-rows.js";
import { readInstructions } from "../../tasks/node/read-instructions.js";
import { readUserTasks } from "../../tasks/node/read-user-tasks.js";
import type { Example, Instance, Task } from "../../tasks/task.js";
import { renderExample } from "../../tasks/template.js";
import type { UserExample } from "../../tasks/user-task.js";
import type { Tokenizer } from "../../tokenizers/tokenizer.js";
import { encodeTrainingData, type PlacedExample, type TrainingData } from "../training-data.js";
import type { TrainingRecipe } from "../training-recipe.js";

/** Most rows that are drawn of a generated task. */
const GENERATED_ROWS = 3000;
/** Longer definitions stay out of the input: they would crowd out the instance. */
const MAX_DEFINITION_CHARACTERS = 300;
/** Bytes of a JSON file that are read to tell a list from a document. */
const SNIFFED_BYTES = 1024;

/**
 * Reads a recipe's task and divides it. Where the rows of a data file name their `split`, that is how: rows of the test split stay out.
 * @param recipeFolder Where the recipe's relative paths begin.
 * @throws CadreError `not-found`; `io`; `unsupported` for another kind of file; `invalid-file` naming the row: broken, an answer that is none of
 * the choices, too many choices for the batch; too few rows.
 */
export async function readTrainingData(
  recipe: TrainingRecipe,
  { recipeFolder, tokenizer }: { readonly recipeFolder: string; readonly tokenizer: Tokenizer },
): Promise<TrainingData> {
  const { expert } = recipe;
  const { task, validation } = await readSplits(recipe, recipeFolder);
  const validationTexts = new Set(validation.map(({ instance }) => instanceText(instance)));
  const fresh = task.rows.filter(({ instance }) => !validationTexts.has(instanceText(instance)));
  const rows = fresh.slice(0, expert.maxRows);
  if (rows.length === 0 || validation.length === 0) {
    throw new CadreError(
      "invalid-file",
      `${task.where}: expected rows to train on and others for validation, got ${rows.length} and ${validation.length}; add rows, or change validation`,
    );
  }
  return encodeTrainingData(
    {
      name: task.name,
      where: task.where,
      train: rows.map(placedExample),
      validation: validation.map(placedExample),
      repeatedRows: task.rows.length - fresh.length,
      rowsOverLimit: fresh.length - rows.length,
    },
    { recipe: expert, tokenizer },
  );
}

/** An instance with its task, and what errors call it. */
interface Row {
  readonly task: Task;
  readonly instance: Instance;
  readonly where: string;
}

interface Rows {
  readonly name: string;
  readonly where: string;
  readonly rows: readonly Row[];
}

/** A file's task. */
interface ReadTask {
  readonly task: Task;
  /** What errors call its instances, in their order. */
  readonly places: readonly string[];
  /** How many of the first instances are for validation, where the rows say so themselves. */
  readonly validationRows?: number;
}

async function readSplits(
  recipe: TrainingRecipe,
  recipeFolder: string,
): Promise<{ readonly task: Rows; readonly validation: readonly Row[] }> {
  const { generated, task: file, validation, expert } = recipe;
  if (generated !== undefined) {
    const total = Math.min(expert.maxRows, GENERATED_ROWS);
    const share = typeof validation === "number" ? validation : 0;
    const splits = generateSplits(findGeneratedTask(generated), {
      seed: expert.seed,
      train: total,
      validation: Math.ceil(share * total),
      test: 0,
    });
    const where = `generated task ${generated}`;
    const all = (task: Task): Rows => rowsOf({ task, places: placesOf(task, where) }, where);
    return { task: all(splits.train), validation: all(splits.validation).rows };
  }
  const path = resolve(recipeFolder, file ?? "");
  const read = await readTask(path, expert.seed);
  const task = rowsOf({ ...read, task: withChoices(read.task, recipe) }, path);
  if (typeof validation === "string") {
    const other = resolve(recipeFolder, validation);
    const found = await readTask(other, expert.seed);
    // The training file says what may be chosen, so that both files mean the same by "answers".
    const choices = task.rows[0]?.task.choices;
    const own = choices === undefined ? found : { ...found, task: { ...found.task, choices } };
    const rest = { ...task, rows: task.rows.slice(read.validationRows ?? 0) };
    return { task: shuffled(rest, expert.seed), validation: rowsOf(own, other).rows };
  }
  const mixed = read.validationRows === undefined ? shuffled(task, expert.seed) : task;
  const kept = read.validationRows ?? Math.ceil(validation * mixed.rows.length);
  return { task: { ...mixed, rows: mixed.rows.slice(kept) }, validation: mixed.rows.slice(0, kept) };
}

async function readTask(path: string, seed: number): Promise<ReadTask> {
  const ending = extname(path).toLowerCase();
  if (ending === ".json" && !(await holdsList(path))) {
    const task = await readInstructions(path);
    return { task, places: placesOf(task, path) };
  }
  if (!Object.hasOwn(ROW_READERS, ending)) {
    throw new CadreError(
      "unsupported",
      `${path}: expected a .json file with Definition and Instances, or rows of input and target in ${Object.keys(ROW_READERS).join(", ")}`,
    );
  }
  return readRows(path, seed);
}

/** A data file's rows; the first bad one is an error. */
async function readRows(path: string, seed: number): Promise<ReadTask> {
  const { tasks } = await readUserTasks(path, { seed, strict: true });
  const task = at(tasks, 0);
  const [template] = task.templates;
  const { train, validation, test } = task.splits;
  const isMade = task.splitFrom === "made";
  const examples = isMade
    ? [...train, ...validation, ...test].sort((left, right) => left.instance - right.instance)
    : [...validation, ...createRandom(seed).shuffle([...train])];
  return {
    task: {
      name: task.name,
      definition: "",
      templates: [INPUT_TEMPLATE],
      instances: examples.map(({ input, targets, choices }) => ({
        fields: { input },
        targets,
        // A recipe says whether the answers are choices.
        ...(choices === undefined || template?.choicesFrom === "inferred" ? {} : { choices }),
      })),
    },
    places: examples.map(placeOf),
    ...(isMade ? {} : { validationRows: validation.length }),
  };
}

async function holdsList(path: string): Promise<boolean> {
  try {
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(SNIFFED_BYTES), 0, SNIFFED_BYTES, 0);
    return /^\ufeff?\s*\[/.test(buffer.toString("utf8", 0, bytesRead));
  } catch (error) {
    throw wrapSystemError(error, `cannot read ${path}`);
  }
}

function placeOf({ place }: UserExample): string {
  return `${place.file}: line ${place.line}`;
}

function placesOf({ instances }: Task, where: string): string[] {
  return instances.map((_, index) => `${where}: row ${index + 1}`);
}

/** A file's task with the recipe's choices. */
function withChoices(task: Task, { choices }: TrainingRecipe): Task {
  if (choices === undefined) {
    return task;
  }
  const list =
    choices === "answers" ? [...new Set(task.instances.map(({ targets }) => at(targets, 0)))].sort() : choices;
  return { ...task, choices: list };
}

function rowsOf({ task, places }: ReadTask, where: string): Rows {
  if (task.instances.length === 0) {
    throw new CadreError("invalid-file", `${where}: expected at least one row, found none`);
  }
  return {
    name: task.name,
    where,
    rows: task.instances.map((instance, index) => ({ task, instance, where: at(places, index) })),
  };
}

function shuffled(rows: Rows, seed: number): Rows {
  return { ...rows, rows: createRandom(seed).shuffle([...rows.rows]) };
}

function placedExample({ task, instance, where }: Row): PlacedExample {
  return { example: exampleOf(task, instance, where), where };
}

/** By the task's first template; what is a whole input already gets the definition before it. */
function exampleOf(task: Task, instance: Instance, where: string): Example {
  const template = at(task.templates, 0);
  const example = renderExample(task, instance, template);
  const { choices, targets } = example;
  if (choices !== undefined && new Set(choices).size < choices.length) {
    throw new CadreError("invalid-file", `${where}: expected choices that differ, got ${JSON.stringify(choices)}`);
  }
  if (choices !== undefined && !targets.some((target) => choices.includes(target))) {
    throw new CadreError(
      "invalid-file",
      `${where}: expected an answer among the choices ${JSON.stringify(choices)}, found ${JSON.stringify(targets[0])}`,
    );
  }
  const { definition } = task;
  return template === INPUT_TEMPLATE && definition !== "" && definition.length <= MAX_DEFINITION_CHARACTERS
    ? { ...example, input: `${definition}\n${example.input}` }
    : example;
}

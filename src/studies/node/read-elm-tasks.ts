import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { CadreError } from "../../core/errors.js";
import { readJson } from "../../core/node/json.js";
import { wrapSystemError } from "../../core/node/system-error.js";
import { readYaml } from "../../core/node/yaml.js";
import { parseJson } from "../../core/parse-json.js";
import { createRandom, hashText } from "../../core/random.js";
import { createOverlapIndex, type OverlapIndex } from "../../mixtures/overlap.js";
import type { FieldMap } from "../../tasks/field-map.js";
import { madeUserTask } from "../../tasks/made-user-task.js";
import { readFieldMap } from "../../tasks/node/read-field-map.js";
import { readInstructions } from "../../tasks/node/read-instructions.js";
import { readPromptTemplates } from "../../tasks/node/read-prompt-templates.js";
import type { PromptTemplate } from "../../tasks/promptsource/prompt-template.js";
import type { RawRow } from "../../tasks/row-values.js";
import type { SplitName, UserExample, UserTask } from "../../tasks/user-task.js";
import { type Composition, jointComposition } from "../elm-compositions.js";
import { type ElmList, type ElmSet, parseElmList } from "../elm-list.js";
import { rawQaRow } from "../elm-rows.js";

/** Most instances of a set, each shown by all of its templates. */
export interface ElmLimits {
  readonly train: number;
  readonly validation: number;
  /** Test rows of a set that experts are trained on. */
  readonly seen: number;
  /** Rows of a development or test set. */
  readonly unseen: number;
}

/** What was read of a set. */
export interface ElmSetReport {
  readonly name: string;
  readonly source: string;
  readonly role: "train" | "development" | "test";
  readonly templates: number;
  /** Instances that are used. */
  readonly train: number;
  readonly validation: number;
  readonly judged: number;
  /** Evaluation rows that share 13 words in a row, or all their words, with a training row of the study: left out. */
  readonly overlapping: number;
  /** Rows that the field map or a template leaves out. */
  readonly unusable: number;
}

/** The study's data sets as tasks. */
export interface ElmTasks {
  readonly train: readonly UserTask[];
  readonly development: readonly UserTask[];
  readonly test: readonly UserTask[];
  readonly sets: readonly ElmSetReport[];
  readonly compositions: readonly Composition[];
}

interface PlacedRow {
  readonly row: RawRow;
  readonly file: string;
  readonly line: number;
}

interface LoadedSet {
  readonly set: ElmSet;
  readonly role: ElmSetReport["role"];
  readonly templates: readonly PromptTemplate[];
  readonly train: readonly PlacedRow[];
  readonly test: readonly PlacedRow[];
  readonly unmapped: number;
}

/** Reads the study's list. @throws CadreError `not-found`; `io`; `invalid-config`. */
export async function readElmList(path: string): Promise<ElmList> {
  return parseElmList(await readYaml(path), path);
}

/**
 * Reads the data sets of a list and shows their rows by promptsource's templates. What is drawn of a set depends on its name only. Evaluation rows that overlap
 * with any training or validation row of the study are left out and counted; instance texts are compared, without templates.
 * @param options.list path of the list, to which the paths of field maps are relative
 * @throws CadreError `not-found`, `io`, `invalid-file`, `invalid-config` for a template that is not there or a set of which nothing is left.
 */
export async function readElmTasks(options: {
  readonly list: string;
  readonly dataFolder: string;
  readonly limits: ElmLimits;
  /** Of compositions of the list's files. */
  readonly composedRows: { readonly validation: number; readonly test: number };
}): Promise<ElmTasks> {
  const { list: path, dataFolder, limits, composedRows } = options;
  const list = await readElmList(path);
  const load = (sets: readonly ElmSet[], role: ElmSetReport["role"]) =>
    Promise.all(sets.map((set) => loadSet(set, { role, dataFolder, listFolder: dirname(resolve(path)) })));
  const train = await load(list.train, "train");
  const development = await load(list.development, "development");
  const test = await load(list.test, "test");
  const all = [...train, ...development, ...test];
  const overlapping = findOverlaps(all);
  const built = all.map((loaded) => buildTask(loaded, { limits, overlapping }));
  const tasksOf = (role: ElmSetReport["role"]) =>
    built.flatMap(({ task, report }) => (report.role === role ? [task] : []));
  return {
    train: tasksOf("train"),
    development: tasksOf("development"),
    test: tasksOf("test"),
    sets: built.map(({ report }) => report),
    compositions: await Promise.all(
      list.composed.map(async ({ name, first, second }) =>
        jointComposition(
          name,
          [await readInstructions(join(dataFolder, first)), await readInstructions(join(dataFolder, second))],
          composedRows,
        ),
      ),
    ),
  };
}

async function loadSet(
  set: ElmSet,
  context: { readonly role: ElmSetReport["role"]; readonly dataFolder: string; readonly listFolder: string },
): Promise<LoadedSet> {
  const { role, dataFolder, listFolder } = context;
  const path = join(dataFolder, set.templates);
  const { templates: known } = await readPromptTemplates(path);
  const templates = set.use.map((name) => {
    const found = known.find((template) => template.name === name);
    if (found === undefined) {
      throw new CadreError(
        "invalid-config",
        `${set.name}: expected a template "${name}" in ${path}, found ${known.map((one) => one.name).join(", ")}`,
      );
    }
    return found;
  });
  const map = set.fieldMap === undefined ? undefined : await readFieldMap(resolve(listFolder, set.fieldMap));
  const read = async (files: readonly string[]): Promise<RowsRead[]> =>
    Promise.all(files.map((file) => readRows(file, { set, map, dataFolder })));
  const [train, test] = [await read(set.train ?? []), await read(set.test)];
  return {
    ...{ set, role, templates },
    train: train.flatMap(({ rows }) => rows),
    test: test.flatMap(({ rows }) => rows),
    unmapped: [...train, ...test].reduce((sum, one) => sum + one.unmapped, 0),
  };
}

interface RowsRead {
  readonly rows: readonly PlacedRow[];
  /** Rows that the field map leaves out. */
  readonly unmapped: number;
}

async function readRows(
  file: string,
  context: { readonly set: ElmSet; readonly map: FieldMap | undefined; readonly dataFolder: string },
): Promise<RowsRead> {
  const { set, map, dataFolder } = context;
  const path = join(dataFolder, file);
  const kind = set.rows;
  if (kind !== "instructions") {
    const documents = await readDocuments(path);
    const rows = documents.map((document, index) => ({
      ...{ row: rawQaRow(document, kind, `${path}: row ${index + 1}`), file, line: index + 1 },
    }));
    return { rows, unmapped: 0 };
  }
  if (map === undefined) throw new CadreError("invalid-config", `${set.name}: expected a fieldMap, found none`);
  const { instances } = await readInstructions(path);
  const rows = instances.flatMap((instance, index): PlacedRow[] => {
    const mapped = map.rowOf(instance);
    return "row" in mapped ? [{ row: mapped.row, file, line: index + 1 }] : [];
  });
  return { rows, unmapped: instances.length - rows.length };
}

/** The documents of a JSON list, or of a file with one a line. */
async function readDocuments(path: string): Promise<readonly unknown[]> {
  if (!path.endsWith(".jsonl")) {
    const value = await readJson(path);
    if (!Array.isArray(value)) throw new CadreError("invalid-file", `${path}: expected a list of rows`);
    return value;
  }
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw wrapSystemError(error, `cannot read ${path}`);
  });
  return text
    .split("\n")
    .flatMap((line, index) =>
      line.trim() === "" ? [] : [parseJson(new TextEncoder().encode(line), { where: `${path}: line ${index + 1}` })],
    );
}

/** The texts of a row without labels, which are numbers or single characters. */
export function rowText(row: RawRow): string {
  const texts = (value: unknown): string[] => {
    if (typeof value === "string") return value.length > 1 ? [value] : [];
    if (Array.isArray(value)) return value.flatMap(texts);
    return typeof value === "object" && value !== null ? Object.values(value).flatMap(texts) : [];
  };
  return texts(row).join("\n");
}

/** Evaluation rows that overlap with training rows, as `file:line`. */
function findOverlaps(sets: readonly LoadedSet[]): ReadonlySet<string> {
  const index: OverlapIndex = createOverlapIndex();
  for (const { row, file, line } of sets.flatMap(({ test }) => test)) {
    index.addEvaluationRow(rowText(row), { file, row: line });
  }
  for (const { row, file, line } of sets.flatMap(({ train }) => train)) {
    index.addTrainingText(rowText(row), { file, row: line });
  }
  return new Set(index.report().overlaps.map(({ file, row }) => placeKey(file, row)));
}

function placeKey(file: string, line: number): string {
  return `${file}:${line}`;
}

function buildTask(
  { set, role, templates, train, test, unmapped }: LoadedSet,
  { limits, overlapping }: { readonly limits: ElmLimits; readonly overlapping: ReadonlySet<string> },
): { readonly task: UserTask; readonly report: ElmSetReport } {
  const clean = test.filter(({ file, line }) => !overlapping.has(placeKey(file, line)));
  let unusable = unmapped;
  let instances = 0;
  const draw = (rows: readonly PlacedRow[], most: number): UserExample[][] => {
    const drawn: UserExample[][] = [];
    for (const row of rows) {
      if (drawn.length === most) break;
      const examples = renderRow(row, { templates, instance: instances });
      if (examples === undefined) unusable++;
      else {
        drawn.push(examples);
        instances++;
      }
    }
    return drawn;
  };
  const random = createRandom(hashText(set.name));
  const shuffled = random.shuffle([...train]);
  const validation = draw(shuffled.slice(0, limits.validation), limits.validation);
  const trained = draw(shuffled.slice(limits.validation), limits.train);
  // The first file, the test split, is used up before the next.
  const byFile = set.test.map((file) => random.shuffle(clean.filter((row) => row.file === file)));
  const judged = draw(byFile.flat(), role === "train" ? limits.seen : limits.unseen);
  if (judged.length < 2 || (role === "train" && (trained.length === 0 || validation.length === 0))) {
    throw new CadreError(
      "invalid-config",
      `${set.name}: expected rows to train on, to validate and to judge by, found ${trained.length}, ${validation.length} and ${judged.length}`,
    );
  }
  const splits: Record<SplitName, UserExample[]> = {
    train: trained.flat(),
    validation: validation.flat(),
    test: judged.flat(),
  };
  const all = Object.values(splits).flat();
  return {
    task: madeUserTask({
      name: set.name,
      files: [...(set.train ?? []), ...set.test],
      templates: templates.map(({ name }) => ({
        name: name.trim(),
        choicesFrom: "template",
        choicesNote: "the template's answer choices",
        distinctTargets: new Set(all.map(({ targets }) => targets[0])).size,
      })),
      splits,
      splitFrom: "files",
      splitsMade: ["validation"],
      instances,
    }),
    report: {
      name: set.name,
      source: set.source,
      role,
      templates: templates.length,
      train: trained.length,
      validation: validation.length,
      judged: judged.length,
      overlapping: test.length - clean.length,
      unusable,
    },
  };
}

/** A row by every template, with choices; undefined where one of them cannot. */
function renderRow(
  { row, file, line }: PlacedRow,
  { templates, instance }: { readonly templates: readonly PromptTemplate[]; readonly instance: number },
): UserExample[] | undefined {
  const random = createRandom(hashText(placeKey(file, line)));
  const examples = templates.flatMap((template, index): UserExample[] => {
    const rendered = template.render(row, (count) => random.nextInteger(count));
    if (rendered.kind !== "example" || rendered.example.choices === undefined) return [];
    return [{ ...rendered.example, instance, template: index, place: { file, line } }];
  });
  return examples.length === templates.length ? examples : undefined;
}

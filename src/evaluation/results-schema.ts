import * as z from "zod";
import { CadreError } from "../core/errors.js";
import { parseConfig } from "../core/parse-config.js";

export const RESULTS_FORMAT = "cadre-results";
export const RESULTS_FORMAT_VERSION = 1;

const name = z.string().min(1);
const hash = z.string().regex(/^[0-9a-f]{64}$/, { error: "expected 64 hexadecimal digits" });
const share = z.number().min(0).max(1);
const amount = z.number().min(0);

const systemNames = ["base", "multitask", "multitaskOneBudget", "routed", "mergedTop3"] as const;

/** What answers rows: a system of the comparison, or an expert by its id. */
export const systemNameSchema = z.union([z.enum(systemNames), z.templateLiteral(["expert:", name])]).meta({
  description:
    "base; multitask: trained for the sum of all experts' steps; multitaskOneBudget: for one expert's; routed: whatever the router picked for each row; mergedTop3; expert:<id>",
});

export const identitySchema = z.looseObject({
  base: hash.describe("SHA-256 of the base's weights"),
  settings: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
    .describe(
      "Whatever else changes answers: normalisation of scores, longest input, seeds of routing, version of Cadre",
    ),
});

const trained = {
  sha256: hash.describe("Of what the system adds to the base; of the base for the base"),
  steps: z.int().min(0).describe("Training steps"),
  trainingFlops: amount.describe("2 for each multiply-add, recomputation not counted"),
};

const system = z.looseObject({ name: z.enum(systemNames), ...trained });

const expert = z.looseObject({
  id: name,
  task: name.describe("What it was trained on"),
  template: name.exactOptional().describe("The only template that it was trained on"),
  ...trained,
});

const row = z.looseObject({
  instance: name.describe("Rows of one instance differ in their template alone"),
  template: name,
  targets: z.array(z.string()).min(1).describe("Accepted answers; the first names the class"),
  choices: z.array(z.string()).min(1).exactOptional().describe("Where they differ between rows"),
});

const count = z.int().min(0);
const choiceCounts = z
  .looseObject({
    identical: count.describe("Texts that equal an earlier one of their row"),
    indistinguishable: count.describe("Other texts that have the tokens of an earlier one"),
    empty: count.describe("Answers that are white space alone"),
  })
  .describe("Peculiar choices, over all rows; where answers are chosen");

export const taskRecordSchema = z.looseObject({
  name,
  suite: z.enum(["seen", "unseen"]).describe("Whether an expert was trained on other rows of this task"),
  sha256: hash.describe("Of all its rows with their inputs, in order"),
  metric: name.describe("What a score of 0 to 1 measures, e.g. accuracy"),
  choices: z.array(z.string()).min(1).exactOptional().describe("Where all rows share them"),
  majority: z
    .string()
    .exactOptional()
    .describe(
      "The most frequent answer of its training rows; without it, each half of the rows gets that of the other",
    ),
  majorityByTemplate: z
    .record(z.string(), z.string())
    .exactOptional()
    .describe("The same for each template, where templates have answers of their own"),
  choiceCounts: choiceCounts.exactOptional(),
  rows: z.array(row).min(1),
});

export const cellSchema = z
  .looseObject({
    system: systemNameSchema,
    systemSha256: hash,
    task: name,
    taskSha256: hash,
    predictions: z.array(z.string()).describe("One for each row of the task, in its order"),
    scores: z.array(share).describe("One for each prediction, in the task's metric"),
    truncatedInputs: count.describe("Rows whose input was cut"),
    flops: amount.describe(
      "Of answering: 2 for each multiply-add of the base's forward passes over the rows' own tokens, padding not counted",
    ),
    seconds: amount.describe("Of answering, compilation of new programs included"),
  })
  .refine(({ predictions, scores }) => predictions.length === scores.length, {
    error: "expected as many scores as predictions",
  });

const route = z.looseObject({
  task: name,
  rows: z
    .array(z.array(z.looseObject({ id: name, weight: z.number() })))
    .describe("For each row the experts that answer it; an empty list is the base"),
});

export const resultsSchema = z
  .looseObject({
    format: z.literal(RESULTS_FORMAT),
    formatVersion: z.literal(RESULTS_FORMAT_VERSION),
    createdAt: z.iso.datetime(),
    identity: identitySchema,
    trainingSeed: z.int().min(0),
    systems: z.array(system),
    experts: z.array(expert),
    tasks: z.array(taskRecordSchema).min(1),
    routes: z.array(route),
    cells: z.array(cellSchema),
  })
  .superRefine((results, context) => {
    for (const message of findContradictions(results)) {
      context.addIssue({ code: "custom", message });
    }
  })
  .meta({
    title: "Results of an evaluation by Cadre",
    description: "Every prediction of every system, one training seed",
  });

/** What answers rows: `base`, …, or `expert:<id>`. */
export type SystemName = z.output<typeof systemNameSchema>;
/** What all cells of an evaluation have in common. */
export type EvaluationIdentity = z.output<typeof identitySchema>;
/** A task as results hold it: its rows without their inputs. */
export type TaskRecord = z.output<typeof taskRecordSchema>;
/** An expert as results hold it. */
export type ExpertRecord = z.output<typeof expert>;
/** What a system answered to the rows of a task. */
export type Cell = z.output<typeof cellSchema>;
/** The results of an evaluation: one file, one training seed. */
export type EvaluationResults = z.output<typeof resultsSchema>;

const versionOnly = z.looseObject({ format: z.literal(RESULTS_FORMAT), formatVersion: z.int().min(1) });

/**
 * Checks results that came from outside; unknown fields stay.
 * @param where names the source in messages, e.g. the path
 * @throws CadreError `invalid-file` naming every wrong field or contradiction; `unsupported` for a newer version of the format.
 */
export function parseResults(value: unknown, where: string): EvaluationResults {
  const { formatVersion } = parseConfig(versionOnly, value, { where, code: "invalid-file" });
  if (formatVersion > RESULTS_FORMAT_VERSION) {
    throw new CadreError(
      "unsupported",
      `${where}: expected version ${RESULTS_FORMAT_VERSION} of ${RESULTS_FORMAT} or older, found ${formatVersion}; a newer Cadre reads it`,
      { details: { formatVersion } },
    );
  }
  return parseConfig(resultsSchema, value, { where, code: "invalid-file" });
}

/** What a schema of single fields cannot see, in words. */
function findContradictions({ systems, experts, tasks, routes, cells }: EvaluationResults): string[] {
  const systemHashes = new Map<string, string>([
    ...systems.map(({ name, sha256 }) => [name, sha256] as const),
    ...experts.map(({ id, sha256 }) => [`expert:${id}`, sha256] as const),
  ]);
  const taskByName = new Map(tasks.map((task) => [task.name, task]));
  const ids = new Set(experts.map(({ id }) => id));
  const repeated = (what: string, names: readonly string[]): string[] => {
    const known = new Set<string>();
    return names.flatMap((one) => {
      const twice = known.has(one);
      known.add(one);
      return twice ? [`expected different ${what}, found "${one}" twice`] : [];
    });
  };
  return [
    ...repeated(
      "systems",
      systems.map((one) => one.name),
    ),
    ...repeated(
      "experts",
      experts.map(({ id }) => id),
    ),
    ...repeated(
      "tasks",
      tasks.map((one) => one.name),
    ),
    ...repeated(
      "routes",
      routes.map(({ task }) => task),
    ),
    ...repeated(
      "cells",
      cells.map((cell) => `${cell.system} on ${cell.task}`),
    ),
    ...cells.flatMap((cell) => {
      const task = taskByName.get(cell.task);
      const where = `cell of ${cell.system} on "${cell.task}"`;
      if (task === undefined || cell.taskSha256 !== task.sha256) {
        return [`${where}: expected a task of the results with the hash of its rows, found another`];
      }
      if (cell.systemSha256 !== systemHashes.get(cell.system)) {
        return [`${where}: expected a system or expert of the results with its hash, found another`];
      }
      const count = cell.predictions.length;
      return count === task.rows.length ? [] : [`${where}: expected ${task.rows.length} predictions, found ${count}`];
    }),
    ...routes.flatMap(({ task, rows }) => {
      const expected = taskByName.get(task)?.rows.length;
      const unknown = rows.flat().find(({ id }) => !ids.has(id));
      return [
        ...(rows.length === expected
          ? []
          : [`routes of "${task}": expected ${expected ?? "no"} rows, found ${rows.length}`]),
        ...(unknown === undefined
          ? []
          : [`routes of "${task}": expected experts of the results, found "${unknown.id}"`]),
      ];
    }),
  ];
}

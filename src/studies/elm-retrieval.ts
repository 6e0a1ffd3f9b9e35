import * as z from "zod";
import { at } from "../core/at.js";
import { mean } from "../core/numbers.js";
import type { EvaluationResults } from "../evaluation/results-schema.js";
import type { EvaluationTask } from "../evaluation/results-task.js";
import { voteByTemplate } from "../evaluation/route-tasks.js";
import type { TrainedSystem } from "../evaluation/trained-system.js";
import type { PooledEncoder } from "../routing/pooled-encoder.js";
import type { TextFormat } from "../routing/text-format.js";
import type { ElmContext } from "./elm-context.js";
import { openBm25Routers, openElmRouters } from "./elm-router.js";
import { ELM_RETRIEVAL } from "./elm-settings.js";
import { type ElmScores, taskScores } from "./elm-values.js";
import { storedResult } from "./node/stored-result.js";

/** An encoder of the ablation; BM25 compares words instead. */
export interface ElmEncoder {
  readonly name: string;
  readonly encoder: PooledEncoder | "bm25";
}

/** One way of retrieving, and the expert that it picks for each template of each task. */
export interface RetrievalChoice {
  readonly encoder: string;
  readonly format: TextFormat;
  /** S. */
  readonly keys: number;
  /** Q. */
  readonly queries: number;
  /** Id of the expert by name of the task and of the template. */
  readonly picks: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** How one way of retrieving fares, in percent. */
export interface RetrievalResult extends RetrievalChoice {
  readonly development: number;
  readonly test: number;
}

const routesSchema = z.array(
  z.object({ keys: z.number(), queries: z.number(), picks: z.record(z.string(), z.record(z.string(), z.string())) }),
);

/**
 * What every way of retrieving picks for tasks: encoders × text formats × S × Q. Nothing is trained, and no seed matters: experts are found by what they
 * were trained on.
 */
export async function retrieve(
  context: ElmContext,
  options: {
    readonly encoders: readonly ElmEncoder[];
    readonly experts: readonly TrainedSystem[];
    readonly tasks: readonly EvaluationTask[];
  },
): Promise<RetrievalChoice[]> {
  const { settings, folder, device, onProgress } = context;
  const { encoders, experts, tasks } = options;
  const most = Math.max(...settings.keys);
  const choices: RetrievalChoice[] = [];
  for (const { name, encoder } of encoders) {
    for (const format of settings.formats) {
      const routes = await storedResult(`${folder}/retrieval`, {
        name: `${name} ${format}`.replaceAll(/[^a-zA-Z0-9_-]+/g, "-"),
        schema: routesSchema,
        compute: async () => {
          onProgress(`retrieval: ${name}, ${format}`);
          const keys = { experts, tasks: context.tasks.train, format, most };
          const routers = encoder === "bm25" ? openBm25Routers(keys) : await openElmRouters({ device, encoder }, keys);
          const found: z.input<typeof routesSchema> = [];
          for (const count of settings.keys) {
            for (const queries of settings.queries) {
              await using router = await routers.open({ keys: count, queries });
              const picks: Record<string, Record<string, string>> = {};
              for (const task of tasks) {
                const { routings } = await voteByTemplate(task, { router });
                picks[task.name] = Object.fromEntries(
                  task.rows.map(({ template }, row) => [template, at(at(routings, row).experts, 0).id]),
                );
              }
              found.push({ keys: count, queries, picks });
            }
          }
          return found;
        },
      });
      choices.push(...routes.map((route) => ({ encoder: name, format, ...route })));
    }
  }
  return choices;
}

/** The scores of what a way of retrieving picks, of all seeds. */
export function pickedScores(
  { picks }: Pick<RetrievalChoice, "picks">,
  results: readonly EvaluationResults[],
  tasks: readonly string[],
): ElmScores {
  return results.map((one) =>
    tasks.map((task) => taskScores(one, { task, systemOf: (template) => `expert:${picks[task]?.[template] ?? ""}` })),
  );
}

/** Every choice with its accuracies on development and test tasks. */
export function rateRetrieval(
  choices: readonly RetrievalChoice[],
  suites: Readonly<
    Record<
      "development" | "test",
      { readonly results: readonly EvaluationResults[]; readonly tasks: readonly string[] }
    >
  >,
): RetrievalResult[] {
  const meanOf = (choice: RetrievalChoice, suite: "development" | "test") => {
    const { results, tasks } = suites[suite];
    return 100 * mean(pickedScores(choice, results, tasks).map((seed) => mean(seed.map(mean))));
  };
  return choices.map((choice) => ({
    ...choice,
    development: meanOf(choice, "development"),
    test: meanOf(choice, "test"),
  }));
}

/** The one that is best on development tasks; of equal ones the first. @param results at least one */
export function bestRetrieval(results: readonly RetrievalResult[]): RetrievalResult {
  return results.reduce((best, next) => (next.development > best.development ? next : best));
}

/** ELM's own settings with an encoder: as near as the ablation comes to them. */
export function elmRetrieval(results: readonly RetrievalResult[]): RetrievalResult {
  const format = results.filter((one) => one.format === ELM_RETRIEVAL.format);
  const near = (values: readonly number[], wanted: number) =>
    values.reduce((best, next) => (Math.abs(next - wanted) < Math.abs(best - wanted) ? next : best));
  const keys = near(
    results.map((one) => one.keys),
    ELM_RETRIEVAL.keys,
  );
  const queries = near(
    results.map((one) => one.queries),
    ELM_RETRIEVAL.queries,
  );
  return (
    (format.length > 0 ? format : results).find((one) => one.keys === keys && one.queries === queries) ?? at(results, 0)
  );
}

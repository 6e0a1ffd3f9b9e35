import * as z from "zod";
import { parseConfig } from "../core/parse-config.js";
import type { Comparison, SuiteComparison } from "./comparison.js";

const figure = z
  .strictObject({ mean: z.number(), low: z.number(), high: z.number() })
  .describe("Percent, with the 95 % interval over rows");

/** The file `results.json` of `cadre quickstart`. */
export const quickstartResultsSchema = z
  .strictObject({
    seconds: z.number().min(0).describe("From start to finish"),
    experts: z.int().min(0).describe("How many were trained"),
    seen: z
      .strictObject({
        base: figure,
        multitask: figure,
        multitaskOneBudget: figure,
        expert: figure,
        auto: figure,
        routingAccuracy: figure,
        majority: figure,
        chance: figure,
      })
      .describe("Tasks that experts were trained on, other rows"),
    unseen: z
      .strictObject({
        base: figure,
        multitask: figure,
        multitaskOneBudget: figure,
        retrieved: figure,
        mergedTop3: figure,
        bestSingle: figure,
        oracle: figure,
        random: figure,
        majority: figure,
        chance: figure,
      })
      .describe("Tasks that no expert was trained on"),
  })
  .meta({ title: "Results of cadre quickstart" });

/** What `cadre quickstart` found. */
export type QuickstartResults = z.output<typeof quickstartResultsSchema>;

/**
 * The figures of a comparison as `cadre quickstart` writes them.
 * @param options.seconds What the whole took.
 * @param options.experts How many were trained.
 * @throws CadreError `invalid-argument` naming the figures that the comparison lacks.
 */
export function quickstartResults(
  { seen, unseen }: Comparison,
  { seconds, experts }: { readonly seconds: number; readonly experts: number },
): QuickstartResults {
  const figures = (suite: SuiteComparison | undefined) =>
    Object.fromEntries(suite?.figures.map(({ name, mean }) => [name, mean]) ?? []);
  return parseConfig(
    quickstartResultsSchema,
    { seconds, experts, seen: figures(seen), unseen: figures(unseen) },
    { where: "quickstart: expected figures of every system", code: "invalid-argument" },
  );
}

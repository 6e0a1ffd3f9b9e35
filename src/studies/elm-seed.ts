import type { EvaluationResults } from "../evaluation/results-schema.js";
import type { TrainedSystem } from "../evaluation/trained-system.js";
import { evaluateComposed } from "./elm-composed.js";
import { type Composition, generatedComposition } from "./elm-compositions.js";
import type { ElmContext } from "./elm-context.js";
import { growLibrary, trainInSequence } from "./elm-continual.js";
import { evaluateElm, judgedRows } from "./elm-evaluate.js";
import { trainElmModels } from "./elm-experts.js";
import { type ElmKind, evaluateKinds } from "./elm-kinds.js";
import { evaluateMerges } from "./elm-merging.js";
import type { LedgerEntry } from "./elm-probe.js";
import { openElmRouters } from "./elm-router.js";
import { ELM_RETRIEVAL } from "./elm-settings.js";

/** The seed of generated rows: the same for all training seeds. */
const ROWS_SEED = 1;

/** What one seed of the study found. */
export interface ElmSeedResults {
  readonly seed: number;
  /** Prompt experts and experts of data sets on the sets that they were trained on and on the test sets; and on the development sets. */
  readonly prompt: EvaluationResults;
  readonly promptDevelopment: EvaluationResults;
  readonly sets: EvaluationResults;
  /** One for each task. */
  readonly mergesDevelopment: readonly EvaluationResults[];
  readonly mergesTest: readonly EvaluationResults[];
  readonly kinds: Readonly<Record<ElmKind, EvaluationResults>>;
  readonly sequence: EvaluationResults;
  readonly ledger: readonly LedgerEntry[];
  /** One for each composed task. */
  readonly composed: readonly EvaluationResults[];
  /** Found alike by every seed. */
  readonly promptExperts: readonly TrainedSystem[];
}

/** Trains and judges everything of one seed; what is there already is not computed again. */
export async function runElmSeed(context: ElmContext, seed: number): Promise<ElmSeedResults> {
  const { device, encoder, tasks } = context;
  const seen = tasks.train.map((task) => judgedRows(task, "seen"));
  const development = tasks.development.map((task) => judgedRows(task, "unseen"));
  const test = tasks.test.map((task) => judgedRows(task, "unseen"));
  const models = await trainElmModels(context, seed);
  const routerOf = async (experts: readonly TrainedSystem[]) => {
    const { format, keys, queries } = ELM_RETRIEVAL;
    const routers = await openElmRouters({ device, encoder }, { experts, tasks: tasks.train, format, most: keys });
    return routers.open({ keys, queries });
  };
  const { multitask, multitaskOneBudget } = models.prompt;
  await using promptRouter = await routerOf(models.prompt.experts);
  const promptSystems = { seed, experts: models.prompt.experts, multitask, multitaskOneBudget, router: promptRouter };
  const prompt = await evaluateElm(context, { name: "prompt experts", ...promptSystems, tasks: [...seen, ...test] });
  const promptDevelopment = await evaluateElm(context, {
    ...promptSystems,
    name: "prompt experts, development",
    tasks: development,
  });
  await using setRouter = await routerOf(models.sets.experts);
  const sets = await evaluateElm(context, {
    ...{ name: "experts of data sets", seed, experts: models.sets.experts, multitask, multitaskOneBudget },
    router: setRouter,
    tasks: [...seen, ...test],
  });
  const kinds = await evaluateKinds(context, { seed, full: models.sets, tasks: seen });
  const merges = { seed, experts: models.sets.experts, router: setRouter };
  const mergesDevelopment = await evaluateMerges(context, { ...merges, tasks: development });
  const mergesTest = await evaluateMerges(context, { ...merges, tasks: test });
  const composed: EvaluationResults[] = [];
  for (const composition of compositionsOf(context)) {
    composed.push(await evaluateComposed(context, { seed, composition }));
  }
  const ledger = await growLibrary(context, { seed, sets: models.sets });
  const sequence = await trainInSequence(context, {
    seed,
    tasks: seen.map((task) => ({ ...task, suite: "unseen" as const })),
  });
  return {
    ...{ seed, prompt, promptDevelopment, sets, mergesDevelopment, mergesTest, kinds, sequence, ledger, composed },
    promptExperts: models.prompt.experts,
  };
}

/** Of generated tasks, then of the list's. */
function compositionsOf({ settings, tasks }: ElmContext): readonly Composition[] {
  const rows = { seed: ROWS_SEED, ...settings.composedRows };
  return [...settings.composed.map((name) => generatedComposition(name, rows)), ...tasks.compositions];
}

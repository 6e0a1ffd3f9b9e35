import { at } from "../core/at.js";
import { mean } from "../core/numbers.js";
import type { DifferenceFigure } from "../evaluation/comparison.js";
import { type FigureName, suiteValues } from "../evaluation/comparison-values.js";
import type { EvaluationResults } from "../evaluation/results-schema.js";
import type { composedSystems } from "./elm-composed.js";
import { forgetting, phaseName, splitSets } from "./elm-continual.js";
import type { ElmKind } from "./elm-kinds.js";
import { bestRetrieval, elmRetrieval, pickedScores, type RetrievalResult } from "./elm-retrieval.js";
import type { ElmSeedResults } from "./elm-seed.js";
import type { ElmSettings } from "./elm-settings.js";
import { differenceOfScores, type ElmScores, figureScores, SEEDS_OF_A_CLAIM, scoresOf } from "./elm-values.js";
import type { ElmTasks } from "./node/read-elm-tasks.js";

/** All that the study found. */
export interface ElmStudy {
  readonly settings: ElmSettings;
  /** Those that are judged by. */
  readonly tasks: ElmTasks;
  /** Test sets that nobody is judged by, as all of their rows have the same answer. */
  readonly leftOut: readonly string[];
  /** At least one. */
  readonly seeds: readonly ElmSeedResults[];
  readonly retrieval: readonly RetrievalResult[];
  readonly baseName: string;
}

/** What became of a claim. */
export type ElmVerdict = "agrees" | "disagrees" | "not resolved" | "first better" | "second better";

/** A claim and what was measured. */
export interface ElmClaim {
  /** As in the list of the study: 1 to 6. */
  readonly number: number;
  readonly claim: string;
  /** What the paper says, in its own numbers; empty where it says nothing. */
  readonly paper: string;
  /** Percentage points with a paired interval; absent where what is compared is bits. */
  readonly difference?: DifferenceFigure;
  readonly verdict: ElmVerdict;
  readonly note: string;
}

/**
 * Whether a difference agrees with a claim: only with three seeds and an interval without zero. Where nobody claims a sign, it says which is better.
 * @param expected the sign that is claimed; 0 for none
 */
export function verdictOf(
  { mean: value, resolved }: DifferenceFigure,
  expected: -1 | 0 | 1,
  seeds: number,
): ElmVerdict {
  if (!resolved || seeds < SEEDS_OF_A_CLAIM) return "not resolved";
  if (expected === 0) return value > 0 ? "first better" : "second better";
  return Math.sign(value) === expected ? "agrees" : "disagrees";
}

/** The merge that is best on development tasks. */
export function bestMerge(seeds: readonly ElmSeedResults[]): string {
  const [first] = seeds;
  const ids = first?.mergesDevelopment[0]?.experts.map(({ id }) => id) ?? [];
  const meanOf = (id: string) => mean(mergeScores(seeds, "mergesDevelopment", id).map((seed) => mean(seed.map(mean))));
  return ids.reduce((best, id) => (meanOf(id) > meanOf(best) ? id : best));
}

/** Scores of a merge on the tasks of a suite. */
export function mergeScores(
  seeds: readonly ElmSeedResults[],
  suite: "mergesDevelopment" | "mergesTest",
  id: string,
): ElmScores {
  return seeds.map((seed) =>
    seed[suite].map((result) => at(scoresOf(result, { system: `expert:${id}`, tasks: [at(result.tasks, 0).name] }), 0)),
  );
}

/** Scores of the experts of some sets, each on its own set. */
export function kindScores(seeds: readonly ElmSeedResults[], kind: ElmKind): ElmScores {
  return (
    figureScores(
      seeds.map(({ kinds }) => kinds[kind]),
      { suite: "seen", name: "expert" },
    ) ?? []
  );
}

/** Prompt experts whose mean over test tasks and seeds is above the multitask model's, and all of them. */
export function expertsAboveMultitask(results: readonly EvaluationResults[]): {
  readonly above: number;
  readonly all: number;
} {
  const values = results.flatMap((one) => suiteValues(one, { suite: "unseen", seed: 0 }) ?? []);
  const multitask = mean(values.map(({ figures }) => mean((figures.get("multitask") ?? []).map(mean))));
  const [first] = values;
  const means = (first?.experts ?? []).map((_, index) =>
    mean(values.map(({ experts }) => mean((experts[index]?.means ?? []).map(Number)))),
  );
  return { above: means.filter((value) => value > multitask).length, all: means.length };
}

/** The claims of the paper that the study tests. */
export function elmClaims(study: ElmStudy): ElmClaim[] {
  const { seeds, tasks, settings, retrieval } = study;
  const prompt = seeds.map((seed) => seed.prompt);
  const sets = seeds.map((seed) => seed.sets);
  const testNames = tasks.test.map(({ name }) => name);
  const seenNames = tasks.train.map(({ name }) => name);
  const figure = (results: readonly EvaluationResults[], suite: "seen" | "unseen", name: FigureName): ElmScores =>
    figureScores(results, { suite, name }) ?? [];
  const compared = (
    claim: Pick<ElmClaim, "number" | "claim" | "paper"> & { readonly note?: string },
    pair: { readonly first: ElmScores; readonly second: ElmScores; readonly expected: -1 | 0 | 1 },
  ): ElmClaim => {
    const difference = differenceOfScores(pair.first, pair.second);
    return { note: "", ...claim, difference, verdict: verdictOf(difference, pair.expected, seeds.length) };
  };
  const unseen = (name: FigureName, results = prompt) => figure(results, "unseen", name);
  const above = expertsAboveMultitask(prompt);
  const best = bestRetrieval(retrieval);
  const standard = elmRetrieval(retrieval.filter(({ encoder }) => encoder === retrieval[0]?.encoder));
  const merge = bestMerge(seeds);
  const sequential: ElmScores = seeds.map(({ sequence }) =>
    scoresOf(sequence, { system: `expert:${phaseName(settings.added)}`, tasks: seenNames }),
  );
  const ownSets = figure(sets, "seen", "expert");
  const composedOf = (system: "multitask" | `expert:${(typeof composedSystems)[number]}`): ElmScores =>
    seeds.map(({ composed }) =>
      composed.map((result) => at(scoresOf(result, { system, tasks: [at(result.tasks, 0).name] }), 0)),
    );
  return [
    compared(
      {
        number: 1,
        claim: "the best single prompt expert beats the multitask model on unseen tasks",
        paper: "+3.20",
        note: `cross-fitted; ${above.above} of ${above.all} prompt experts are above the multitask model (paper: 7 of 296)`,
      },
      { first: unseen("bestSingle"), second: unseen("multitask"), expected: 1 },
    ),
    compared(
      { number: 1, claim: "the best single expert of a data set beats the multitask model on unseen tasks", paper: "" },
      { first: unseen("bestSingle", sets), second: unseen("multitask", sets), expected: 1 },
    ),
    compared(
      { number: 2, claim: "retrieval of experts beats the multitask model on unseen tasks", paper: "+2.05" },
      { first: unseen("retrieved"), second: unseen("multitask"), expected: 1 },
    ),
    compared(
      { number: 2, claim: "retrieval of experts is below the best single expert", paper: "-1.15" },
      { first: unseen("retrieved"), second: unseen("bestSingle"), expected: -1 },
    ),
    compared(
      { number: 2, claim: "an oracle would gain on retrieval", paper: "+9.9" },
      { first: unseen("oracle"), second: unseen("retrieved"), expected: 1 },
    ),
    compared(
      { number: 2, claim: "retrieval beats a random expert", paper: "" },
      { first: unseen("retrieved"), second: unseen("random"), expected: 1 },
    ),
    compared(
      {
        number: 2,
        claim: "the way of retrieving that is best on development tasks beats ELM's",
        paper: "",
        note: `${best.encoder}, ${best.format}, S ${best.keys}, Q ${best.queries} against ${standard.encoder}, ${standard.format}, S ${standard.keys}, Q ${standard.queries}`,
      },
      { first: pickedScores(best, prompt, testNames), second: pickedScores(standard, prompt, testNames), expected: 0 },
    ),
    compared(
      { number: 3, claim: "prompt experts beat the multitask model on seen tasks", paper: "+10.4" },
      { first: figure(prompt, "seen", "expert"), second: figure(prompt, "seen", "multitask"), expected: 1 },
    ),
    compared(
      { number: 3, claim: "routed prompt experts beat the multitask model on seen tasks", paper: "+10.4" },
      { first: figure(prompt, "seen", "auto"), second: figure(prompt, "seen", "multitask"), expected: 1 },
    ),
    identicalClaim(seeds),
    compared(
      {
        number: 4,
        claim: "experts beat the multitask model that is trained on one set after another",
        paper: "",
        note: forgettingNote(seeds, splitSets(seenNames, settings.added).later),
      },
      { first: ownSets, second: sequential, expected: 1 },
    ),
    compared(
      {
        number: 5,
        claim: "the merge that is best on development tasks beats the retrieved expert",
        paper: "",
        note: `${merge} of the experts of data sets`,
      },
      { first: mergeScores(seeds, "mergesTest", merge), second: unseen("retrieved", sets), expected: 0 },
    ),
    compared(
      { number: 5, claim: "that merge beats the multitask model", paper: "", note: merge },
      { first: mergeScores(seeds, "mergesTest", merge), second: unseen("multitask", sets), expected: 0 },
    ),
    compared(
      {
        number: 5,
        claim: "composed tasks: merged experts beat the first expert",
        paper: "",
        note: "task vectors with 1/2 each",
      },
      { first: composedOf("expert:merged-mean"), second: composedOf("expert:first"), expected: 1 },
    ),
    compared(
      { number: 5, claim: "composed tasks: merged experts beat the second expert", paper: "" },
      { first: composedOf("expert:merged-mean"), second: composedOf("expert:second"), expected: 1 },
    ),
    compared(
      { number: 5, claim: "composed tasks: merged experts beat the multitask model", paper: "+2.71 ROUGE-L" },
      { first: composedOf("expert:merged-mean"), second: composedOf("multitask"), expected: 1 },
    ),
    compared(
      { number: 6, claim: "prompt experts against experts of data sets, seen tasks", paper: "" },
      { first: figure(prompt, "seen", "expert"), second: ownSets, expected: 0 },
    ),
    compared(
      { number: 6, claim: "prompt experts against experts of data sets, retrieved, unseen tasks", paper: "" },
      { first: unseen("retrieved"), second: unseen("retrieved", sets), expected: 0 },
    ),
    ...(["lora", "bottleneck"] as const).map((kind) =>
      compared(
        { number: 6, claim: `${kind} against all weights, seen tasks`, paper: "", note: settings.kindSets.join(", ") },
        { first: kindScores(seeds, kind), second: kindScores(seeds, "full"), expected: 0 },
      ),
    ),
    compared(
      { number: 6, claim: "bottleneck against lora, seen tasks", paper: "", note: settings.kindSets.join(", ") },
      { first: kindScores(seeds, "bottleneck"), second: kindScores(seeds, "lora"), expected: 0 },
    ),
  ];
}

function identicalClaim(seeds: readonly ElmSeedResults[]): ElmClaim {
  const entries = seeds.flatMap(({ ledger }) => ledger);
  const sum = (of: (entry: (typeof entries)[number]) => number) => entries.reduce((total, one) => total + of(one), 0);
  const [rows, kept, identical] = [sum((one) => one.rows), sum((one) => one.kept), sum((one) => one.identical)];
  return {
    number: 4,
    claim: "an expert that is added leaves earlier answers as they were, bit by bit, where the route stays",
    paper: "",
    verdict: kept > 0 && kept === identical ? "agrees" : "disagrees",
    note: `${identical} of ${kept} answers identical in fresh processes; ${rows - kept} of ${rows} routes changed (paper: no degradation of seen tasks)`,
  };
}

function forgettingNote(seeds: readonly ElmSeedResults[], later: readonly string[]): string {
  const all = seeds.flatMap(({ sequence }) => forgetting(sequence, later));
  const lost = mean(all.map(({ learned, end }) => learned - end));
  return `sequential training forgets ${lost.toFixed(1)} points of what it had right after each set`;
}

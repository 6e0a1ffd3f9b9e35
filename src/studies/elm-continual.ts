import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import type { EvaluationResults } from "../evaluation/results-schema.js";
import type { EvaluationTask } from "../evaluation/results-task.js";
import type { TrainedSystem } from "../evaluation/trained-system.js";
import type { ElmContext, ElmTrained } from "./elm-context.js";
import { evaluateElm } from "./elm-evaluate.js";
import { stepsOf, trainElm } from "./elm-experts.js";
import { type LedgerEntry, ledgerEntry, type ProbeAnswers, probeAnswersSchema } from "./elm-probe.js";
import { answerInFreshProcess } from "./node/answer-in-fresh-process.js";
import { copyExpert, saveTrainedBase } from "./node/elm-folders.js";
import { storedResult } from "./node/stored-result.js";

/** The name of a phase of sequential training, and of its system. */
export function phaseName(phase: number): string {
  return `phase-${phase}`;
}

/** The sets that are known from the start, and those that are added. */
export function splitSets<Item>(
  items: readonly Item[],
  added: number,
): { readonly first: readonly Item[]; readonly later: readonly Item[] } {
  const known = items.length - added;
  return { first: items.slice(0, known), later: items.slice(known) };
}

/**
 * Grows a library by one expert after another and asks a fresh process after each: what changes for rows of tasks that had their expert before?
 * @returns one entry for each expert added
 */
export async function growLibrary(
  context: ElmContext,
  { seed, sets }: { readonly seed: number; readonly sets: ElmTrained },
): Promise<LedgerEntry[]> {
  const { settings, tasks, folder, baseFolder, device, onProgress } = context;
  const own = `${folder}/seed-${seed}/continual`;
  const { first, later } = splitSets(tasks.train, settings.added);
  const expertOf = (task: string): TrainedSystem => {
    const found = sets.experts.find((expert) => expert.task === task);
    if (found === undefined) throw new CadreError("internal", `elm: expected an expert of ${task}`);
    return found;
  };
  const add = (task: string): Promise<void> =>
    copyExpert(expertOf(task).id, { from: `${folder}/seed-${seed}/set-experts/library`, to: `${own}/library` });
  const ask = (stage: number): Promise<ProbeAnswers> =>
    storedResult(own, {
      name: `stage ${stage}`,
      schema: probeAnswersSchema,
      compute: async () => {
        onProgress(`seed ${seed}: a fresh process answers with ${first.length + stage} experts`);
        for (const { name } of [...first, ...later.slice(0, stage)]) await add(name);
        const rows = [...first, ...later.slice(0, stage)].flatMap((task) =>
          task.splits.test
            .filter(({ template }) => template === 0)
            .slice(0, settings.probeRows)
            .map(({ input, choices = [] }, row) => ({ key: `${task.name} ${row + 1}`, input, choices: [...choices] })),
        );
        const { inputLength } = settings;
        return answerInFreshProcess(
          { base: baseFolder, library: `${own}/library`, threads: device.threads, inputLength, rows },
          own,
        );
      },
    });
  const entries: LedgerEntry[] = [];
  let before = await ask(0);
  for (const [index, { name }] of later.entries()) {
    const after = await ask(index + 1);
    entries.push(ledgerEntry(name, before, after));
    before = after;
  }
  return entries;
}

/**
 * The multitask model's way: trained on the first sets together, then on each further set in turn, all weights, each time from where it was. After every phase it
 * answers all sets: the results' experts are called by {@link phaseName}.
 */
export async function trainInSequence(
  context: ElmContext,
  { seed, tasks: judged }: { readonly seed: number; readonly tasks: readonly EvaluationTask[] },
): Promise<EvaluationResults> {
  const { settings, tasks, folder, base, baseFolder } = context;
  const { first, later } = splitSets(tasks.train, settings.added);
  const start = await trainElm(context, {
    ...{ seed, name: "sequence-phase-0", tasks: first, mode: "multitask", per: "task" },
    steps: stepsOf(at(first, 0), settings.promptSteps),
  });
  if (start.multitask === undefined) throw new CadreError("internal", "elm: expected a multitask model to start from");
  const phases: TrainedSystem[] = [start.multitask];
  for (const [index, task] of later.entries()) {
    const phase = index + 1;
    const from = `${folder}/seed-${seed}/sequence-base-${phase}`;
    await saveTrainedBase(from, {
      config: base.config,
      tensors: await at(phases, index).readTensors(),
      tokenizerFrom: baseFolder,
    });
    const { experts } = await trainElm(context, {
      ...{ seed, name: `sequence-phase-${phase}`, tasks: [task], mode: "experts", per: "task" },
      steps: stepsOf(task, settings.promptSteps),
      base: { name: phaseName(index), folder: from },
    });
    phases.push(at(experts, 0));
  }
  return evaluateElm(context, {
    name: "sequential training",
    seed,
    tasks: judged,
    experts: phases.map((system, phase) => ({ ...system, id: phaseName(phase), task: phaseName(phase) })),
  });
}

/** Accuracy on the added sets right after each was learned, less that after the last phase: `[set]`, in percent. */
export function forgetting(
  results: EvaluationResults,
  later: readonly string[],
): { readonly set: string; readonly learned: number; readonly end: number }[] {
  const last = phaseName(later.length);
  const accuracy = (phase: string, set: string): number => {
    const cell = results.cells.find(({ system, task }) => system === `expert:${phase}` && task === set);
    const scores = cell?.scores ?? [];
    return (100 * scores.reduce((sum, score) => sum + score, 0)) / scores.length;
  };
  return later.map((set, index) => ({ set, learned: accuracy(phaseName(index + 1), set), end: accuracy(last, set) }));
}

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { CadreError, throwIfAborted } from "../../core/errors.js";
import { type EventHandler, emit } from "../../core/events.js";
import { sha256 } from "../../core/hash.js";
import type { TrainedSystem } from "../../evaluation/trained-system.js";
import { deltaConfigOf } from "../../experts/expert-recipe.js";
import { hashBase } from "../../library/base-hash.js";
import type { ExpertKeys } from "../../library/expert-keys.js";
import { expertId } from "../../library/expert-name.js";
import type { NewExpertFields } from "../../library/manifest.js";
import { type Library, openOrCreateLibrary } from "../../library/node/library.js";
import { type ModelFolder, openModelFolder } from "../../models/node/model-folder.js";
import type { Device } from "../../runtime/device.js";
import { openTokenizer } from "../../tokenizers/node/open-tokenizer.js";
import type { TrainIntoLibraryEvent } from "../library-events.js";
import { sharedChoices } from "../training-data.js";
import { chooseRouting } from "./choose-routing.js";
import { type KeyMaker, openKeyMaker } from "./expert-key-maker.js";
import { checkpointsOf, type PreparedTraining, runTraining, type TrainedTensors } from "./expert-training.js";
import {
  type LibraryPart,
  type LibrarySources,
  MULTITASK,
  MULTITASK_ONE_BUDGET,
  multitaskSteps,
  prepareMultitask,
  prepareParts,
  taskFailure,
} from "./library-parts.js";
import { folderShelf, libraryShelf, type Shelf } from "./trained-shelf.js";

/** Digits of an identity that name the folder of its run. */
const RUN_DIGITS = 8;

/** Options of `trainIntoLibrary`. */
export interface TrainIntoLibraryOptions extends LibrarySources {
  /** Its name in what is written, a folder or a Hub id, and its folder, as `resolveBase` gives it. */
  readonly base: { readonly name: string; readonly folder: string };
  /** Folder of the library; it is made if it is not there. */
  readonly library: string;
  /** Folder of the checkpoints and metrics of each training; the same call goes on with what it finds there. */
  readonly runFolder: string;
  /** Whether an expert of the same name from other data or another recipe is replaced; else its task fails. */
  readonly replace: boolean;
  /** Whether a task that fails ends the call, instead of being reported; default false. */
  readonly strict?: boolean;
  /** Whether the keys' texts are kept beside them. */
  readonly keyTexts: "none" | "stored";
  readonly device: Device;
  /** Stops with a checkpoint. */
  readonly signal?: AbortSignal;
  readonly onEvent?: EventHandler<TrainIntoLibraryEvent>;
}

/** What `trainIntoLibrary` returns. */
export interface TrainIntoLibraryResult {
  /** Of all tasks that worked, in their order, those that were there already included. */
  readonly experts: readonly TrainedSystem[];
  /** Trained on the rows of these experts: with the sum of their steps, and with one expert's steps. */
  readonly multitask?: TrainedSystem;
  readonly multitaskOneBudget?: TrainedSystem;
  readonly failed: readonly { readonly task: string; readonly reason: string }[];
  /** Hashes of the training rows of each expert that there is or could be, as their origins tell them. */
  readonly dataHashes: readonly string[];
}

/** What all trainings of a call share. */
interface Session extends Pick<TrainIntoLibraryOptions, "device" | "runFolder"> {
  readonly base: ModelFolder;
  readonly baseHash: string;
  readonly signal: AbortSignal | undefined;
  readonly onEvent: EventHandler<TrainIntoLibraryEvent> | undefined;
}

/** One training of a call. */
interface Job {
  readonly name: string;
  readonly index: number;
  readonly of: number;
  readonly prepared: PreparedTraining;
  /** Where its model is kept. */
  readonly shelf: Shelf;
  /** What the manifest says beside facts of the training. */
  readonly manifest: Pick<NewExpertFields, "task" | "template" | "role">;
  /** Further facts for the origin. */
  readonly origin?: Readonly<Record<string, unknown>>;
  readonly makeKeys?: () => Promise<ExpertKeys>;
}

/**
 * Trains an expert for each task (or template), a multitask model, or both, on one base, and puts them into a library as each is done. What is
 * in the library already is not trained again, and a training that was stopped goes on from its checkpoint, so that the same call goes on with
 * a stopped run and ends with the same bits. A task that fails is reported, the others go on.
 * @throws CadreError `mismatch` for a library of another base or with keys of another encoder; `aborted`; what `openModelFolder`, `openLibrary` and the device
 * throw; `io`; with `strict` that of the first task that fails.
 */
export async function trainIntoLibrary(options: TrainIntoLibraryOptions): Promise<TrainIntoLibraryResult> {
  const { device, recipe, mode, replace, strict = false, runFolder, signal, onEvent } = options;
  throwIfAborted(signal);
  const { folder, name: baseName } = options.base;
  await using base = await openModelFolder(folder);
  const baseHash = await hashBase({ ...base, ...(signal === undefined ? {} : { signal }) });
  const library = await openOrCreateLibrary(options.library, { base: { id: baseName, hash: baseHash } });
  const tokenizer = await openTokenizer(folder);
  await using keyMaker = await openKeyMaker({ device, base, baseHash, tokenizer, library });
  const { parts, failed: unprepared } = await prepareParts(options, { base, tokenizer, signal });

  const session: Session = { device, runFolder, signal, onEvent, base, baseHash };
  const experts = mode === "multitask" ? 0 : parts.length + unprepared.length;
  const of = experts + (mode === "experts" ? 0 : 2);
  let index = 0;
  const failed: { task: string; reason: string }[] = [];
  const fail = (task: string, reason: string): void => {
    failed.push({ task, reason });
    emit(onEvent, { type: "task-failed", task, index, of, reason });
    if (strict) throw new CadreError("invalid-file", `${task}: ${reason}`);
  };
  const attempt = async (job: () => Job | Promise<Job>, name: string): Promise<TrainedSystem | undefined> => {
    try {
      return await trainOne(session, await job());
    } catch (error) {
      fail(name, taskFailure(error));
      return undefined;
    }
  };
  for (const { task, reason } of unprepared) {
    if (mode !== "multitask") index++;
    fail(task, reason);
  }

  const trained: { readonly part: LibraryPart; readonly expert: TrainedSystem }[] = [];
  if (mode !== "multitask") {
    for (const part of parts) {
      index++;
      const job = expertJob(part, { library, keyMaker, options });
      const expert = await attempt(() => ({ ...job, index, of }), part.name);
      if (expert !== undefined) trained.push({ part, expert });
    }
    await chooseRouting({ device, library, keyMaker, parts: trained, signal, onEvent });
  }
  const result = {
    experts: trained.map(({ expert }) => expert),
    failed,
    dataHashes: parts.map(({ prepared }) => prepared.data.hash),
  };
  if (mode === "experts") return result;

  const worked = mode === "multitask" ? parts : trained.map(({ part }) => part);
  if (worked.length < 2) {
    const reason = `a multitask model learns at least two tasks together, there ${worked.length === 1 ? "is 1" : "are none"}`;
    emit(onEvent, { type: "multitask-skipped", reason });
    return result;
  }
  const counts =
    mode === "multitask" ? parts.map(({ prepared }) => prepared.steps) : trained.map(({ expert }) => expert.steps);
  const budgets = multitaskSteps(counts);
  const multitaskJob = async (name: string, steps: number, shelf: Shelf): Promise<Job> => ({
    name,
    index,
    of,
    prepared: await prepareMultitask(worked, { name, base, recipe, steps }),
    shelf,
    manifest: { task: MULTITASK, role: "multitask" },
    origin: { tasks: worked.map((part) => part.name) },
  });
  index++;
  const multitask = await attempt(
    () => multitaskJob(MULTITASK, budgets.all, libraryShelf({ library, name: MULTITASK, replace })),
    MULTITASK,
  );
  index++;
  const oneBudgetShelf = folderShelf({
    parent: join(runFolder, await expertId(MULTITASK_ONE_BUDGET)),
    systemId: "multitaskOneBudget",
    base: { id: baseName, hash: baseHash, folder, config: base.config },
  });
  const multitaskOneBudget = await attempt(
    () => multitaskJob(MULTITASK_ONE_BUDGET, budgets.one, oneBudgetShelf),
    MULTITASK_ONE_BUDGET,
  );
  return {
    ...result,
    ...(multitask === undefined ? {} : { multitask }),
    ...(multitaskOneBudget === undefined ? {} : { multitaskOneBudget }),
  };
}

function expertJob(
  { name, task, template, data, prepared }: LibraryPart,
  context: { readonly library: Library; readonly keyMaker: KeyMaker; readonly options: TrainIntoLibraryOptions },
): Omit<Job, "index" | "of"> {
  const { library, keyMaker, options } = context;
  const { replace, keyTexts, signal } = options;
  return {
    name,
    prepared,
    shelf: libraryShelf({ library, name, replace }),
    manifest: { task, ...(template === undefined ? {} : { template }), role: "expert" },
    makeKeys: () => keyMaker.makeKeys(data.trainExamples, { texts: keyTexts, signal }),
  };
}

/** Trains and stores one model, unless it is there. */
async function trainOne(
  { device, base, baseHash, runFolder, signal, onEvent }: Session,
  { name, index, of, prepared, shelf, makeKeys, ...job }: Job,
): Promise<TrainedSystem> {
  const { data, recipe, steps, flopsPerStep } = prepared;
  const { truncatedRows, rowsOverLimit } = data;
  const about = { task: name, index, of };
  const identity = await sha256(
    new TextEncoder().encode(JSON.stringify([job.manifest.role, recipe, steps, data.hash, baseHash])),
  );
  const kept = await shelf.find(identity, base.model);
  if (kept !== undefined) {
    emit(onEvent, { type: "task-kept", ...about, id: kept.id });
    return kept;
  }
  emit(onEvent, {
    type: "task-start",
    ...about,
    steps,
    trainRows: data.train.length,
    validationRows: data.validation.length,
    truncatedRows,
    rowsOverLimit,
    flopsPerStep,
  });
  const started = performance.now();
  const ownFolder = join(runFolder, await expertId(name), identity.slice(0, RUN_DIGITS));
  const trained = await runTraining(prepared, {
    device,
    base,
    runFolder: ownFolder,
    signal,
    onEvent: (event) => emit(onEvent, { ...event, task: name }),
  });
  const keys = await makeKeys?.();
  const seconds = (performance.now() - started) / 1000;
  const stored = await shelf.store(
    {
      manifest: { name, ...job.manifest, ...manifestOf(prepared, { trained, seconds, identity, origin: job.origin }) },
      delta: deltaConfigOf(recipe, base.model.hookPoints),
      tensors: trained.tensors,
      ...(keys === undefined ? {} : { keys }),
    },
    base.model,
  );
  await rm(checkpointsOf(ownFolder), { recursive: true, force: true });
  emit(onEvent, {
    type: "task-end",
    ...about,
    id: stored.id,
    steps: trained.steps,
    seconds,
    score: trained.score,
  });
  return stored;
}

function manifestOf(
  { data, recipe }: PreparedTraining,
  facts: {
    readonly trained: TrainedTensors;
    readonly seconds: number;
    readonly identity: string;
    readonly origin: Job["origin"];
  },
): Pick<NewExpertFields, "choices" | "metric" | "origin" | "seed" | "metrics"> & { readonly identity: string } {
  const { trained, seconds, identity, origin } = facts;
  const choices = sharedChoices(data.validation);
  const { loss, accuracy } = trained.score;
  return {
    ...(choices === undefined ? {} : { choices }),
    metric: data.hasChoices ? "accuracy" : "loss",
    origin: { kind: "trained", recipe: { ...recipe, dataHash: data.hash, ...origin } },
    identity,
    seed: recipe.seed,
    metrics: {
      steps: trained.steps,
      trainRows: data.train.length,
      validationRows: data.validation.length,
      loss,
      ...(accuracy === undefined ? {} : { accuracy }),
      trainingFlops: trained.trainingFlops,
      seconds,
    },
  };
}

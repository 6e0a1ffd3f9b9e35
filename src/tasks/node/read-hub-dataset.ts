import { join } from "node:path";
import { CadreError } from "../../core/errors.js";
import { type EventHandler, emit } from "../../core/events.js";
import type { RepositoryCache } from "../../models/node/hub-cache.js";
import { parseHubId } from "../../models/node/hub-id.js";
import { type Fetching, fetchFiles, type HubEvent, resolveHubRepository } from "../../models/node/hub-repository.js";
import { type HubTiming, hubSettings } from "../../models/node/hub-settings.js";
import { type ChooseSplitOptions, chooseSplitFiles, type DatasetSplitFiles } from "../hub-dataset-files.js";
import type { RawRow } from "../row-values.js";
import { MAX_TASK_ROWS } from "../user-task.js";
import { readParquetRows } from "./parquet-rows.js";

/** Options of {@link readHubDataset}. */
export interface HubDatasetOptions {
  /** The subset, e.g. `cb` of `super_glue`; needed where there are several. */
  readonly config?: string;
  /** Default `train`. */
  readonly split?: string;
  /** Most rows that are read, the first ones; default {@link MAX_TASK_ROWS}, above which it is an error. */
  readonly limit?: number;
  /** Use no network, only what the cache holds. Default: what `HF_HUB_OFFLINE` says, else false. */
  readonly offline?: boolean;
  /** The Hugging Face cache; default as in the Python library. */
  readonly cacheFolder?: string;
  readonly onProgress?: EventHandler<HubEvent>;
  readonly signal?: AbortSignal;
  /** Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Patience with the network, for tests. */
  readonly timing?: HubTiming;
}

/** Rows of a data set on the Hub. */
export interface HubDataset {
  readonly config: string;
  readonly split: string;
  /** With the fields that the data set has, as JSON has values; promptsource templates apply to them. */
  readonly rows: readonly RawRow[];
}

/**
 * Reads a split of a data set on the Hugging Face Hub, `owner/name[@revision]`, that has Parquet files; they are downloaded into the shared cache (only
 * those of the split, every one proven by its hash; broken downloads continue). See {@link chooseSplitFiles}.
 * @throws CadreError `invalid-argument` for a text of another form; `not-found`; `network`; `unauthorized`; `unsupported`; `invalid-file`; `io`;
 * `aborted`.
 */
export async function readHubDataset(text: string, options: HubDatasetOptions = {}): Promise<HubDataset> {
  const { config, split = "train", limit, signal } = options;
  const id = parseHubId(text, "dataset");
  if (id === undefined) {
    throw new CadreError(
      "invalid-argument",
      `data set ${JSON.stringify(text)}: expected owner/name or owner/name@revision on the Hugging Face Hub`,
    );
  }
  const choice = { config, split, where: id.name };
  const found = await resolveHubRepository(id, hubSettings({ ...options, env: options.env ?? process.env }), {
    handlers: { onEvent: (event) => emit(options.onProgress, event), signal },
    findComplete: (cache, commit) => findSplit(cache, commit, choice),
    fetch: (fetching) => fetchSplit(fetching, choice),
  });
  const rows: RawRow[] = [];
  const most = limit ?? MAX_TASK_ROWS;
  for (const path of found.files) {
    for await (const batch of readParquetRows(path, { signal })) {
      for (const one of batch) {
        if ("problem" in one) throw new CadreError("invalid-file", `${path}: row ${one.line}: ${one.problem.problem}`);
        if (rows.length < most) rows.push(one.row);
        else if (limit === undefined) {
          throw new CadreError(
            "unsupported",
            `${id.name}: expected at most ${most} rows in ${split}, found more; give a limit`,
          );
        }
      }
      if (rows.length >= most && limit !== undefined) return { config: found.config, split, rows };
    }
  }
  return { config: found.config, split, rows };
}

async function fetchSplit(fetching: Fetching, choice: ChooseSplitOptions): Promise<DatasetSplitFiles> {
  const { cache, snapshot } = fetching;
  const found = chooseSplitFiles(
    snapshot.files.map(({ path }) => path),
    choice,
  );
  await fetchFiles(fetching, found.files);
  return inFolder(cache.snapshotFolder(snapshot.commit), found);
}

async function findSplit(
  cache: RepositoryCache,
  commit: string,
  choice: ChooseSplitOptions,
): Promise<DatasetSplitFiles | undefined> {
  try {
    const found = chooseSplitFiles(await cache.filesOf(commit), choice);
    return found.isComplete ? inFolder(cache.snapshotFolder(commit), found) : undefined;
  } catch (error) {
    if (CadreError.isInstance(error) && error.code === "not-found") return undefined;
    throw error;
  }
}

function inFolder(folder: string, found: DatasetSplitFiles): DatasetSplitFiles {
  return { ...found, files: found.files.map((file) => join(folder, file)) };
}

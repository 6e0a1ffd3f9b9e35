import { CadreError } from "../../core/errors.js";
import { cachedNames, hasBytes, isCommit, type RepositoryCache, repositoryCache } from "./hub-cache.js";
import { downloadFile } from "./hub-download.js";
import type { HubRequest } from "./hub-fetch.js";
import { type HubId, nearMissHint, pathOfRepository } from "./hub-id.js";
import { type HubFile, type HubSnapshot, readHubSnapshot } from "./hub-metadata.js";
import type { HubSettings } from "./hub-settings.js";

/** What happens while a repository is fetched from the Hub. */
export type HubEvent =
  /** Bytes have arrived; sent for each file at least at its start and its end, and about a hundred times in between. */
  | {
      readonly type: "download";
      readonly repository: string;
      readonly file: string;
      readonly doneBytes: number;
      readonly totalBytes: number;
    }
  /** Something went wrong that may pass. */
  | { readonly type: "download-retry"; readonly repository: string; readonly reason: string; readonly waitMs: number }
  /** The Hub could not be reached; what the cache holds of this revision is used. */
  | { readonly type: "cache-used"; readonly repository: string; readonly reason: string };

/** Steps that a progress bar sees of one file. */
const PROGRESS_STEPS = 100;

/** What resolving a repository shares with its caller. */
export interface HubHandlers {
  readonly onEvent: (event: HubEvent) => void;
  readonly signal?: AbortSignal | undefined;
}

/** A snapshot that is being fetched into the cache. */
export interface Fetching {
  readonly request: HubRequest;
  readonly cache: RepositoryCache;
  readonly snapshot: HubSnapshot;
  readonly handlers: HubHandlers;
}

/** What is wanted of a repository. */
export interface Wanted<Result> {
  readonly handlers: HubHandlers;
  /** What the cache holds of a commit; undefined where something is missing. */
  readonly findComplete: (cache: RepositoryCache, commit: string) => Promise<Result | undefined>;
  /** Fetches it, see {@link fetchFiles}. */
  readonly fetch: (fetching: Fetching) => Promise<Result>;
}

/**
 * A part of a repository in the cache, fetched as far as it is not there. A commit that is there needs no network.
 * @throws CadreError `network`, `unauthorized`, `not-found`, `invalid-file`, `io`, `aborted`.
 */
export async function resolveHubRepository<Result>(
  id: HubId,
  settings: HubSettings,
  { handlers, findComplete, fetch }: Wanted<Result>,
): Promise<Result> {
  const cache = repositoryCache(settings.cacheFolder, id);
  const known = await cache.commitOf(id.revision);
  const cached = known === undefined ? undefined : await findComplete(cache, known);
  if (cached !== undefined && (settings.offline || isCommit(id.revision))) return cached;
  if (settings.offline) {
    const hint = id.type === "model" ? nearMissHint(id.name, await cachedNames(settings.cacheFolder)) : "";
    throw new CadreError(
      "not-found",
      `${id.name}@${id.revision}: not complete in the cache ${settings.cacheFolder}, and offline nothing is fetched; ` +
        `run it once without --offline (HF_HUB_OFFLINE)${hint}`,
      { details: { repository: id.name, revision: id.revision, cacheFolder: settings.cacheFolder } },
    );
  }
  const request: HubRequest = {
    settings,
    id,
    signal: handlers.signal,
    onRetry: (retry) => handlers.onEvent({ type: "download-retry", repository: id.name, ...retry }),
  };
  let snapshot: HubSnapshot;
  try {
    snapshot = await readHubSnapshot(request);
  } catch (error) {
    if (cached === undefined || !CadreError.isInstance(error) || error.code !== "network") throw error;
    handlers.onEvent({ type: "cache-used", repository: id.name, reason: error.message });
    return cached;
  }
  const result = await fetch({ request, cache, snapshot, handlers });
  await cache.rememberRevision(id.revision, snapshot.commit);
  return result;
}

/**
 * Fetches files of a snapshot as far as the cache lacks them, then makes all of them appear in it.
 * @throws CadreError `invalid-file` for a name that the snapshot does not list; as `downloadFile`.
 */
export async function fetchFiles(
  { request, cache, snapshot, handlers }: Fetching,
  names: readonly string[],
): Promise<void> {
  const { name: repository } = request.id;
  const files = names.map((name): HubFile => {
    const file = snapshot.files.find(({ path }) => path === name);
    if (file === undefined) {
      throw new CadreError("invalid-file", `${repository}: expected the file ${name} that its index names, found none`);
    }
    return file;
  });
  const there = await Promise.all(files.map(({ hash }) => hasBytes(cache.blobPath(hash.hex))));
  const missing = files.filter((_, index) => there[index] !== true);
  await cache.prepare(
    snapshot.commit,
    missing.reduce((sum, { bytes }) => sum + bytes, 0),
  );
  for (const file of missing) {
    await downloadFile({
      request,
      file,
      url: `${request.settings.endpoint}/${pathOfRepository(request.id)}/resolve/${snapshot.commit}/${file.path.split("/").map(encodeURIComponent).join("/")}`,
      target: cache.blobPath(file.hash.hex),
      onBytes: inSteps(file.bytes, (doneBytes) =>
        handlers.onEvent({ type: "download", repository, file: file.path, doneBytes, totalBytes: file.bytes }),
      ),
    });
  }
  for (const { path, hash } of files) await cache.link(snapshot.commit, path, hash.hex);
}

function inSteps(total: number, report: (done: number) => void): (done: number) => void {
  let last = -1;
  return (done) => {
    const step = Math.floor((done / Math.max(1, total)) * PROGRESS_STEPS);
    if (step !== last) report(done);
    last = step;
  };
}

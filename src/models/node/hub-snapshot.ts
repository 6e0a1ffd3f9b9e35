import { join } from "node:path";
import { CadreError } from "../../core/errors.js";
import {
  checkTokenizer,
  checkWeights,
  SMALL_FILES,
  shardsOf,
  tokenizerClassOf,
  WEIGHTS_FILE,
  WEIGHTS_INDEX,
} from "./base-files.js";
import type { RepositoryCache } from "./hub-cache.js";
import type { HubId } from "./hub-id.js";
import { type Fetching, fetchFiles, type HubHandlers, resolveHubRepository } from "./hub-repository.js";
import type { HubSettings } from "./hub-settings.js";

export type { HubEvent } from "./hub-repository.js";

/**
 * The folder of a model's snapshot in the cache, fetched as far as it is not there. A commit that is there needs no network.
 * @throws CadreError `network`, `unauthorized`, `not-found`, `unsupported`, `invalid-file`, `io`, `aborted`.
 */
export async function resolveHubModel(id: HubId, settings: HubSettings, handlers: HubHandlers): Promise<string> {
  return await resolveHubRepository(id, settings, { handlers, findComplete: completeSnapshot, fetch: fetchSnapshot });
}

/** Fetches the small files, then refuses what Cadre cannot read before a large one is begun. */
async function fetchSnapshot(fetching: Fetching): Promise<string> {
  const { request, cache, snapshot } = fetching;
  const names = snapshot.files.map(({ path }) => path);
  const { name } = request.id;
  if (!names.includes("config.json")) {
    throw new CadreError("not-found", `${name}: expected a model with config.json in its root, found none`, {
      details: { repository: name },
    });
  }
  const base = { names, where: name, hubName: name };
  checkWeights(base);
  const small = names.includes(WEIGHTS_FILE) ? SMALL_FILES : [...SMALL_FILES, WEIGHTS_INDEX];
  await fetchFiles(
    fetching,
    small.filter((file) => names.includes(file)),
  );
  const folder = cache.snapshotFolder(snapshot.commit);
  checkTokenizer(base, await tokenizerClassOf(folder, names));
  await fetchFiles(
    fetching,
    names.includes(WEIGHTS_FILE) ? [WEIGHTS_FILE] : await shardsOf(join(folder, WEIGHTS_INDEX)),
  );
  return folder;
}

/** The folder of a cached snapshot that holds everything a base needs. */
async function completeSnapshot(cache: RepositoryCache, commit: string): Promise<string | undefined> {
  const folder = cache.snapshotFolder(commit);
  const names = await cache.filesOf(commit);
  const weights = names.includes(WEIGHTS_FILE)
    ? []
    : names.includes(WEIGHTS_INDEX)
      ? await shardsOf(join(folder, WEIGHTS_INDEX))
      : [WEIGHTS_FILE];
  if (!names.includes("config.json") || weights.some((file) => !names.includes(file))) return undefined;
  try {
    checkTokenizer({ names, where: folder }, await tokenizerClassOf(folder, names));
  } catch (error) {
    if (CadreError.isInstance(error) && ["not-found", "unsupported"].includes(error.code)) return undefined;
    throw error;
  }
  return folder;
}

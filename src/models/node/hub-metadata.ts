import * as z from "zod";
import { CadreError } from "../../core/errors.js";
import { parseConfig } from "../../core/parse-config.js";
import { type HubRequest, hubFetch } from "./hub-fetch.js";

/** A file of a repository, with the hash that proves its bytes and names it in the cache. */
export interface HubFile {
  /** With slashes between folders; those of models lie in the repository's root. */
  readonly path: string;
  readonly bytes: number;
  readonly hash: FileHash;
}

/** SHA-256 of the bytes (large files), or git's hash of a blob: SHA-1 of `blob <length>\0` and the bytes (small ones). */
export type FileHash = { readonly kind: "sha256" | "git-sha1"; readonly hex: string };

/** A repository at one commit. */
export interface HubSnapshot {
  /** 40 hexadecimal digits. */
  readonly commit: string;
  /** Of a model those in the root, of a data set all. */
  readonly files: readonly HubFile[];
}

const answer = z.object({ sha: z.string().regex(/^[0-9a-f]{40}$/) });
const entry = z.object({
  type: z.string(),
  path: z.string(),
  size: z.int().nonnegative(),
  oid: z.string().regex(/^[0-9a-f]{40}$/),
  lfs: z.object({ oid: z.string().regex(/^[0-9a-f]{64}$/), size: z.int().nonnegative() }).optional(),
});

/**
 * Asks the Hub for the commit behind a revision and its files, through the client library.
 * @throws CadreError `network`, `unauthorized`, `not-found`, `aborted`.
 */
export async function readHubSnapshot(request: HubRequest): Promise<HubSnapshot> {
  const { datasetInfo, listFiles, modelInfo } = await import("@huggingface/hub");
  const { id, settings } = request;
  const common = { hubUrl: settings.endpoint, fetch: hubFetch(request) };
  const where = `${id.name}: expected an answer of the Hub from ${settings.endpoint}`;
  try {
    const asked = { name: id.name, revision: id.revision, ...common };
    const info: unknown =
      id.type === "model"
        ? await modelInfo({ ...asked, additionalFields: ["sha"] })
        : await datasetInfo({ ...asked, additionalFields: ["sha"] });
    const { sha: commit } = parseConfig(answer, info, { where, code: "network" });
    const files: HubFile[] = [];
    const repo = { type: id.type, name: id.name };
    const recursive = id.type === "dataset";
    for await (const listed of listFiles({ repo, recursive, revision: commit, ...common })) {
      if (listed.type !== "file") continue;
      const { path, size, oid, lfs } = parseConfig(entry, listed, { where, code: "network" });
      const hash: FileHash = lfs ? { kind: "sha256", hex: lfs.oid } : { kind: "git-sha1", hex: oid };
      if (recursive ? isSafePath(path) : !/[\\/]/.test(path)) files.push({ path, bytes: lfs?.size ?? size, hash });
    }
    return { commit, files };
  } catch (error) {
    if (CadreError.isInstance(error)) throw error;
    throw new CadreError("network", `${where}, got something else`, { cause: error });
  }
}

/** Whether a path stays within its repository. */
function isSafePath(path: string): boolean {
  return path.split("/").every((part) => part !== "" && part !== "." && part !== ".." && !/[\\\0]/.test(part));
}

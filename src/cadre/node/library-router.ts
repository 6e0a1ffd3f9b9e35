import { CadreError } from "../../core/errors.js";
import type { ExpertEntry, Library } from "../../library/node/library.js";
import { fitAdjustment } from "../../routing/adjustment.js";
import { createEmbedder, type Embedder } from "../../routing/embedder.js";
import { createRetrievalRouter, type ExpertVectors, type RetrievalRouter } from "../../routing/retrieval-router.js";
import type { Device } from "../../runtime/device.js";
import type { KeyMaker } from "./expert-key-maker.js";

/** Options of {@link openLibraryRouter}. */
export interface LibraryRouterOptions {
  readonly device: Device;
  readonly library: Library;
  /** Stays open as long as the router is used. */
  readonly keyMaker: KeyMaker;
  /** Whom to choose among; those that have been removed since are left out. Default: all that the library has now. */
  readonly experts?: readonly ExpertEntry[];
  /** Nearest keys of a text that vote; default 1. */
  readonly neighbours?: number;
}

/** A router, and what it embeds texts with. */
export interface LibraryRouter extends RetrievalRouter {
  readonly embedder: Embedder;
}

/** The keys of all experts that a router may choose, in the order of their ids: whole ones with keys, no multitask models. */
export async function expertVectors(
  library: Library,
  experts?: readonly ExpertEntry[],
): Promise<readonly ExpertVectors[]> {
  const vectors: ExpertVectors[] = [];
  for (const { id, manifest } of experts ?? (await library.scan()).experts) {
    const keys = manifest.role === "expert" ? await keysOf(library, id) : undefined;
    if (keys !== undefined) vectors.push({ id, keys });
  }
  return vectors;
}

/**
 * The router of a library: retrieval among the keys of its experts, adjusted as the library records (`routing` in `library.json`; as they are where it
 * says nothing).
 * @throws CadreError `not-found` for a library without keys; as `createRetrievalRouter`.
 */
export async function openLibraryRouter(options: LibraryRouterOptions): Promise<LibraryRouter> {
  const { device, library, keyMaker, neighbours = 1 } = options;
  const experts = await expertVectors(library, options.experts);
  if (experts.length === 0) {
    throw new CadreError(
      "not-found",
      `${library.path}: expected experts with keys to choose among, found none; name an expert instead`,
      { details: { path: library.path } },
    );
  }
  const { width } = keyMaker.encoder.identity;
  const vectors = new Float32Array(experts.reduce((sum, { keys }) => sum + keys.length, 0));
  let filled = 0;
  for (const { keys } of experts) {
    vectors.set(keys, filled);
    filled += keys.length;
  }
  const kind = (await library.routing())?.adjustment ?? "none";
  const embedder = createEmbedder(keyMaker.encoder, await fitAdjustment(kind, { vectors, dimension: width }));
  const { record } = keyMaker;
  const router = await createRetrievalRouter({ device, embedder, experts, keyEncoder: record, vote: { neighbours } });
  return { ...router, embedder };
}

/** Undefined for an expert without keys, or one that another process has removed. */
async function keysOf(library: Library, id: string): Promise<Float32Array | undefined> {
  try {
    return (await library.readKeys(id))?.vectors.data;
  } catch (error) {
    if (CadreError.isInstance(error) && error.code === "not-found") return undefined;
    throw error;
  }
}

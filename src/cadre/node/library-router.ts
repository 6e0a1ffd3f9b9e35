import { CadreError } from "../../core/errors.js";
import type { Library } from "../../library/node/library.js";
import { fitAdjustment } from "../../routing/adjustment.js";
import { createEmbedder } from "../../routing/embedder.js";
import { createRetrievalRouter, type ExpertVectors, type RetrievalRouter } from "../../routing/retrieval-router.js";
import type { Device } from "../../runtime/device.js";
import type { KeyMaker } from "./expert-key-maker.js";

/** The keys of all experts that a router may choose, in the order of their ids: whole ones with keys, no multitask models. */
export async function expertVectors(library: Library): Promise<ExpertVectors[]> {
  const vectors: ExpertVectors[] = [];
  for (const { id, manifest } of (await library.scan()).experts) {
    const keys = manifest.role === "expert" ? await library.readKeys(id) : undefined;
    if (keys !== undefined) vectors.push({ id, keys: keys.vectors.data });
  }
  return vectors;
}

/**
 * The router of a library: retrieval among the keys of its experts, adjusted as the library records (`routing` in `library.json`; as they are where it
 * says nothing).
 * @param options.keyMaker stays open as long as the router is used
 * @throws CadreError `not-found` for a library without keys; as `createRetrievalRouter`.
 */
export async function openLibraryRouter({
  device,
  library,
  keyMaker,
}: {
  readonly device: Device;
  readonly library: Library;
  readonly keyMaker: KeyMaker;
}): Promise<RetrievalRouter> {
  const experts = await expertVectors(library);
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
  return createRetrievalRouter({ device, embedder, experts, keyEncoder: keyMaker.record });
}

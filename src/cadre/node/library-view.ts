import { isDeepStrictEqual } from "node:util";
import type { LibraryRouting } from "../../library/library-file.js";
import type { Library } from "../../library/node/library.js";
import { createCatalog, type ExpertCatalog, isRoutable } from "../expert-catalog.js";
import { versionOf } from "./expert-reader.js";

/** What a library held when it was looked at. */
export interface LibraryView {
  readonly catalog: ExpertCatalog;
  readonly routing: LibraryRouting | undefined;
  /** Whether routing has experts to choose among. */
  readonly canRoute: boolean;
}

/** Looks at a library. @returns `before` where nothing has changed. @throws CadreError as `Library.scan`. */
export async function viewLibrary(library: Library, before?: LibraryView): Promise<LibraryView> {
  const scan = await library.scan();
  const routing = await library.routing();
  const catalog = createCatalog(scan, { where: library.path });
  const after = { catalog, routing, canRoute: scan.experts.some(({ manifest }) => isRoutable(manifest)) };
  return before !== undefined && isDeepStrictEqual(contentOf(before), contentOf(after)) ? before : after;
}

function contentOf({ catalog, routing }: LibraryView): unknown {
  return [routing, catalog.entries.map(({ id, manifest }) => [id, versionOf(manifest)])];
}

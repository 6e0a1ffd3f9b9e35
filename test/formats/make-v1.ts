/** Made `test/formats/v1` once: `npx tsc -p tsconfig.json && node dist/test/formats/make-v1.js`. Those files are frozen, so it writes only where there are none. */
import { fileURLToPath } from "node:url";
import { exportExpert } from "../../src/library/node/export-expert.js";
import { readExpertFolder, writeExpertFiles } from "../../src/library/node/expert-folder.js";
import { createLibrary } from "../../src/library/node/library.js";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { frozenBase, frozenExperts, frozenFolder } from "./content-v1.js";

const root = fileURLToPath(new URL("../../../test/formats/v1", import.meta.url));
const library = await createLibrary(`${root}/library`, { base: frozenBase });
for (const expert of Object.values(frozenExperts)) await library.add(expert);
const temporary = await mkdtemp(join(tmpdir(), "cadre-v1-"));
await writeExpertFiles(temporary, { ...frozenFolder, base: frozenBase });
await exportExpert(`${root}/folder`, { expert: await readExpertFolder(temporary) });
await rm(temporary, { recursive: true });

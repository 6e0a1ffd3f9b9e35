/** Writes `schemas/`: `npx tsc -p tsconfig.json && node dist/test/library/write-schemas.js && npx biome format --write schemas`. */
import { writeFile } from "node:fs/promises";
import { librarySchemas, schemaPath } from "./schemas.js";

for (const [name, schema] of librarySchemas())
  await writeFile(schemaPath(name), `${JSON.stringify(schema, null, 2)}\n`);

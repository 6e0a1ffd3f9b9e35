import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { librarySchemas, schemaPath } from "./schemas.js";

test.each([...librarySchemas()])(
  "schemas/%s is what the code checks (write-schemas.ts writes it)",
  async (name, schema) => {
    const committed: unknown = JSON.parse(await readFile(schemaPath(name), "utf8"));
    expect(committed).toEqual(JSON.parse(JSON.stringify(schema)));
  },
);

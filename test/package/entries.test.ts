import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import * as z from "zod";
import { runProcess } from "../../src/core/node/run-process.test.helpers.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const exportsSchema = z.object({
  exports: z.record(z.string(), z.strictObject({ types: z.string(), default: z.string() })),
});
const referenceSchema = z.object({ entryPoints: z.array(z.string()) });

let entries: z.output<typeof exportsSchema>["exports"] = {};

beforeAll(async () => {
  entries = exportsSchema.parse(JSON.parse(await readFile(join(root, "package.json"), "utf8"))).exports;
});

test("the entries are the closed list, each built with its types, each in the reference", async () => {
  const names = [".", "./graph", "./tasks", "./library", "./routing", "./merging", "./evaluation", "./serving"];
  expect(Object.keys(entries)).toEqual(names);
  for (const target of Object.values(entries).flatMap((entry) => Object.values(entry))) {
    await expect(access(join(root, target)), target).resolves.toBeUndefined();
  }
  const reference = referenceSchema.parse(JSON.parse(await readFile(join(root, "typedoc.json"), "utf8")));
  const sources = Object.values(entries).map((entry) => entry.default.replace("./dist/", "").replace(/js$/, "ts"));
  expect(reference.entryPoints).toEqual(sources);
});

test("CommonJS and ES modules get the same names from every entry", async () => {
  // Requiring a graph of ES modules fails where one of them waits at its top level.
  const program = `
    for (const name of ${JSON.stringify(Object.keys(entries))}) {
      const specifier = "cadre" + name.slice(1);
      const required = Object.keys(require(specifier)).sort();
      import(specifier).then((imported) => console.log(specifier, required.length, required.join() === Object.keys(imported).sort().join()));
    }`;
  const { code, output, errors } = await runProcess(process.execPath, ["--input-type=commonjs", "-e", program], {
    cwd: root,
  });
  expect(code, errors).toBe(0);
  const lines = output.trimEnd().split("\n").sort();
  expect(lines).toHaveLength(Object.keys(entries).length);
  for (const line of lines) expect(line).toMatch(/^cadre\S* [1-9]\d* true$/);
});

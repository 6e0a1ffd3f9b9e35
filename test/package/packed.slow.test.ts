import { execFileSync } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { afterAll, beforeAll, expect, type TestContext, test } from "vitest";
import * as z from "zod";
import { letterRows, linesOf, writeTinyBase } from "../../src/cadre/node/train-expert.test.helpers.js";
import { type EndedProcess, runProcess } from "../../src/core/node/run-process.test.helpers.js";
import { quickstartResultsSchema } from "../../src/evaluation/quickstart-results.js";
import { openLibrary } from "../../src/library/node/library.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const ENTRIES = ["", "/graph", "/tasks", "/library", "/routing", "/merging", "/evaluation", "/serving"];

const packedSchema = z.object({
  filename: z.string(),
  unpackedSize: z.int(),
  files: z.array(z.object({ path: z.string() })),
});

let folder = "";
let consumer = "";
let packed: z.output<typeof packedSchema>;
/** Why the package could not be installed, where no registry answers. */
let noRegistry: string | undefined;

/** What the package becomes on a stranger's machine: packed, and installed into an empty project by npm alone. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-packed-"));
  consumer = join(folder, "consumer");
  await mkdir(consumer);
  // npm test has just built; the script that cleans and builds before publishing would do so under the tests' feet.
  const pack = ["pack", "--ignore-scripts", "--json", "--pack-destination", folder];
  const listing: unknown = JSON.parse(execFileSync("npm", pack, { cwd: root, encoding: "utf8", stdio: "pipe" }));
  packed = packedSchema.parse(Array.isArray(listing) ? listing[0] : listing);
  await writeFile(join(consumer, "package.json"), JSON.stringify({ name: "consumer", private: true, type: "module" }));
  const wanted = [join(folder, packed.filename), "typescript@~6.0", "@types/node@20"];
  const flags = ["install", "--prefer-offline", "--no-audit", "--no-fund", ...wanted];
  const installed = await runProcess("npm", flags, {
    cwd: consumer,
    env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: "skip" },
  });
  if (installed.code === 0) return;
  if (!/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTCACHED/.test(installed.errors)) {
    throw new Error(`expected npm to install the package: ${installed.errors}`);
  }
  noRegistry = `no npm registry can be reached: ${installed.errors.slice(0, 300)}`;
}, 600_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

function needRegistry(context: TestContext): void {
  context.skip(noRegistry !== undefined, noRegistry);
}

function npx(...flags: string[]): Promise<EndedProcess> {
  return runProcess("npx", flags, { cwd: consumer });
}

test("the package holds what runs, the base with its licence, and no tests; the docs state its size", async () => {
  const files = packed.files.map(({ path }) => path);
  const wanted = [
    ...["LICENSE", "README.md", "dist/src/cli/main.js", "dist/src/cadre/index.d.ts", "examples/first.ts"],
    ...["bases/cadre-mini/model.safetensors", "bases/cadre-mini/tokenizer.json", "bases/cadre-mini/README.md"],
    ...["bases/cadre-mini/sources.json", "schemas/library.schema.json", "docs/ten-minutes.md"],
    ...["docs/results/learnability.md", "docs/decisions/0001-engine.md", "bench/RESULTS.md"],
  ];
  expect(files).toEqual(expect.arrayContaining(wanted));
  expect(files.filter((file) => /\.test\.|\.map$|^(?:src|test|runs)\/|^bench\/.*\.ts$/.test(file))).toEqual([]);
  const page = await readFile(join(root, "docs/ten-minutes.md"), "utf8");
  const stated = Number(/unpacks to (\d+) MB/.exec(page)?.[1]);
  expect(Math.abs(packed.unpackedSize / 1e6 - stated)).toBeLessThan(1);
});

test("publint finds nothing to mend", async () => {
  const tarball = await readFile(join(folder, packed.filename));
  const pkg = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  const buffer = tarball.buffer.slice(tarball.byteOffset, tarball.byteOffset + tarball.byteLength);
  const { messages } = await publint({ pack: { tarball: buffer }, strict: true });
  expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
});

test("npx cadre shows its help, trains on a base, and answers", async (context) => {
  needRegistry(context);
  const help = await npx("cadre", "--help");
  expect(help).toMatchObject({ code: 0, output: expect.stringContaining("quickstart") });

  await mkdir(join(consumer, "tasks"));
  await writeFile(join(consumer, "tasks", "letters.jsonl"), linesOf(letterRows(40)));
  const trained = await npx("cadre", "train", "./tasks", "--library", "./library", "--steps", "2", "--offline");
  expect(trained.code, trained.errors).toBe(0);
  expect(trained.output).toContain("after 2 steps");
  const asked = await npx("cadre", "ask", "./library", "A 3", "--json");
  expect(JSON.parse(asked.output)).toMatchObject({ choice: expect.stringMatching(/^(yes|no)$/) });
}, 600_000);

test("npx cadre quickstart: experts far above the base on their tasks, retrieved ones above base and random on others", async (context) => {
  needRegistry(context);
  const { code, output, errors } = await npx("cadre", "quickstart", "--run", "run");
  expect(code, errors).toBe(0);
  expect(errors).not.toMatch(/warning|Error/);
  expect(output).toMatch(/Unseen tasks/);
  const read = (name: string) => readFile(join(consumer, "run", name), "utf8");
  const { experts, seen, unseen } = quickstartResultsSchema.parse(JSON.parse(await read("results.json")));
  expect(experts).toBe(8);
  expect(seen.expert.low).toBeGreaterThan(seen.base.high + 30);
  expect(seen.auto.low).toBeGreaterThan(seen.base.high + 30);
  expect(seen.routingAccuracy.low).toBeGreaterThan(90);
  expect(unseen.retrieved.low).toBeGreaterThan(unseen.base.high);
  expect(unseen.retrieved.low).toBeGreaterThan(unseen.random.high);
  const page = await read("report.html");
  expect(page).toMatch(/<svg/);
  expect(page).not.toMatch(/(src|href)="(https?:)?\/\//);
  const library = await openLibrary(join(consumer, "run", "library"));
  expect((await library.list()).filter(({ manifest }) => manifest.role === "expert")).toHaveLength(8);
}, 1_200_000);

test("a strict nodenext program compiles the examples, and the first one learns what it is for", async (context) => {
  needRegistry(context);
  await cp(join(consumer, "node_modules/cadre/examples"), join(consumer, "src"), { recursive: true });
  const compilerOptions = {
    ...{ target: "ES2023", module: "nodenext", types: ["node"], rootDir: "src", outDir: "out" },
    ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, verbatimModuleSyntax: true },
  };
  await writeFile(join(consumer, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["src"] }));
  const compiled = await npx("tsc", "-p", "tsconfig.json");
  expect(compiled, compiled.output).toMatchObject({ code: 0 });

  const { code, output, errors } = await runProcess(process.execPath, ["out/first.js"], { cwd: consumer });
  expect({ code, errors }).toEqual({ code: 0, errors: "" });
  const accuracyOf = (name: string): number => Number(new RegExp(`^  ${name} +(\\d+)$`, "m").exec(output)?.[1]);
  expect(accuracyOf("expert"), output).toBeGreaterThan(accuracyOf("chance") + 20);
}, 900_000);

test("an adapter as peft lays it out is imported by npx cadre, and answers", async (context) => {
  needRegistry(context);
  await writeTinyBase(join(consumer, "base"));
  const recipe = ["--base", "base", "--delta", "lora", "--steps", "1", "--mode", "experts"];
  const trained = await npx("cadre", "train", "./tasks", "--library", "./adapters", ...recipe);
  expect(trained.code, trained.errors).toBe(0);
  await npx("cadre", "experts", "export", "./adapters", "letters", "./letters", "--without-keys");

  const flags = ["out/import-peft.js", "imported", "letters", "base", "A 3"];
  const { code, output, errors } = await runProcess(process.execPath, flags, { cwd: consumer });
  expect(code, errors).toBe(0);
  expect(output).toMatch(/^billing \d+ %$/m);
}, 300_000);

test("a CommonJS program requires every entry", async (context) => {
  needRegistry(context);
  const lines = ENTRIES.map(
    (entry) => `console.log(${JSON.stringify(entry)}, Object.keys(require("cadre${entry}")).length)`,
  );
  const program = `${lines.join("\n")}\nrequire("cadre").openCadre("nowhere").catch(({ code }) => console.log(code))\n`;
  await writeFile(join(consumer, "requires.cjs"), program);
  const { code, output, errors } = await runProcess(process.execPath, ["requires.cjs"], { cwd: consumer });
  expect(code, errors).toBe(0);
  const counts = [...output.matchAll(/^\S* ?(\d+)$/gm)].map(([, count]) => Number(count));
  expect(counts).toHaveLength(ENTRIES.length);
  expect(Math.min(...counts)).toBeGreaterThan(0);
  expect(output).toMatch(/not-found\n$/);
}, 120_000);

import { cp, mkdir, mkdtemp, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Ended, runCadre } from "./run-cadre.test.helpers.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const fixtures = join(root, "test/fixtures");
let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-cli-experts-"));
  await cp(join(root, "test/formats/v1"), join(folder, "v1"), { recursive: true });
  await mkdir(join(folder, "base"));
  for (const name of ["config.json", "model.safetensors"]) {
    await cp(join(fixtures, "t5/v1_1", name), join(folder, "base", name));
  }
  await writeFile(join(folder, "base", "tokenizer_config.json"), JSON.stringify({ tokenizer_class: "ByT5Tokenizer" }));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function experts(...flags: string[]): Promise<Ended> {
  return runCadre(["experts", ...flags], { cwd: folder });
}

test("a person's round: import, add, list, show, verify, export, remove", async () => {
  const imported = await experts(
    "import",
    "library",
    join(fixtures, "peft/lora_missing_module"),
    "--base",
    "base",
    "--name",
    "peft 🧪",
  );
  expect(imported).toMatchObject({ code: 0, errors: "" });
  expect(imported.output).toContain("imported peft 🧪 (peft-");
  expect(imported.output).toContain("7 projections that it leaves alone got values that change nothing");

  const added = await experts("add", "library", "v1/folder", "v1/library/experts/vectors-29a6a5e3");
  expect(added).toMatchObject({ code: 0, output: expect.stringContaining("added bottleneck (bottleneck-") });

  const list = await experts("list", "library");
  expect(list.output).toContain(": 3 experts on ");
  expect(list.output).toMatch(/^vectors +vectors-29a6a5e3 +ia3 +letters +- +1$/m);
  const listed: unknown = JSON.parse((await experts("list", "library", "--json")).output);
  expect(listed).toMatchObject({
    problems: [],
    experts: [{ name: "bottleneck" }, { name: "peft 🧪" }, { name: "vectors" }],
  });

  const show = await experts("show", "library", "peft 🧪");
  expect(show.output).toMatch(/^delta {4}lora \{"rank":4,"alpha":8,"rankStabilized":false,"targets":\["q","v"\]\}$/m);

  const exported = await experts("export", "library", "vectors", "out/vectors", "--without-keys");
  expect(exported.code).toBe(0);
  expect((await readdir(join(folder, "out/vectors"))).sort()).toEqual([
    "adapter_config.json",
    "adapter_model.safetensors",
    "expert.json",
  ]);
  const withKeys = await experts("export", "library", "vectors", "out/with-keys");
  expect(withKeys.output).toContain("export it --without-keys if nobody else may have them");
  expect(await experts("add", "second", "out/vectors")).toMatchObject({ code: 0 });

  const verified = await experts("verify", "second", "--base", "base");
  expect(verified).toMatchObject({ code: 0, output: "1 expert, no problem\n" });
  const unfit = await experts("verify", "library", "--base", "base");
  expect(unfit.code).toBe(3);
  expect(unfit.output).toContain('expected a tensor "encoder.block.0.layer.0.adapter.down.bias", found none');

  expect(await experts("remove", "library", "bottleneck", "vectors")).toMatchObject({ code: 0 });
  expect(await experts("verify", "library", "--base", "base")).toMatchObject({ code: 0 });
}, 300_000);

test("slips are answered in words, without a stack", async () => {
  const cases: readonly [string[], number, string][] = [
    [["show", "v1/library", "vektors"], 3, 'no expert "vektors"; did you mean "vectors"?'],
    [["remove", "v1/library", "all task"], 3, 'did you mean "all tasks"?'],
    [["list", "nowhere"], 3, "expected a library with library.json, found none"],
    [["add", "v1/library", "v1/library/experts/vectors-29a6a5e3"], 3, 'expected no expert "vectors", found one'],
    [
      ["add", "v1/library", join(fixtures, "peft/ia3")],
      3,
      "an adapter that PEFT saved is taken by cadre experts import",
    ],
    [["add", "v1/library", "a", "b", "--name", "c"], 2, "--name: expected one folder with it, got 2"],
    [["import", "none", join(fixtures, "peft/ia3")], 3, "expected a library with library.json, found none"],
    [["import", "v1/library", join(fixtures, "peft/ia3")], 3, "says where it lies here"],
    [["import", "v1/library", join(fixtures, "peft/refused/dora"), "--base", "base"], 3, '"use_dora" (true)'],
    [["export", "v1/library", "vectors", "v1"], 3, "expected nothing there"],
    [["lst", "v1/library"], 2, "Did you mean list?"],
  ];
  for (const [flags, code, message] of cases) {
    const ended = await experts(...flags);
    expect(ended.errors, flags.join(" ")).toContain(message);
    expect(ended, flags.join(" ")).toMatchObject({ code, output: "" });
    expect(ended.errors).not.toMatch(/^\s+at .*:\d+:\d+/m);
  }
}, 300_000);

test("a damaged expert does not hide the others, is verified, and removed by its id", async () => {
  await cp(join(folder, "v1/library"), join(folder, "damaged"), { recursive: true });
  await truncate(join(folder, "damaged/experts/vectors-29a6a5e3/expert.json"), 100);
  const list = await experts("list", "damaged");
  expect(list.code).toBe(3);
  expect(list.output).toContain("all tasks");
  expect(list.errors).toContain("vectors-29a6a5e3: ");
  const verified = await experts("verify", "damaged", "--json");
  expect(verified.code).toBe(3);
  expect(JSON.parse(verified.output)).toMatchObject({ experts: 3, problems: [{ expert: "vectors-29a6a5e3" }] });
  expect(await experts("remove", "damaged", "vectors-29a6a5e3")).toMatchObject({ code: 0 });
  expect(await experts("verify", "damaged")).toMatchObject({ code: 0 });
}, 300_000);

test("every command has help with an example", async () => {
  const all = await experts("--help");
  expect(all.code).toBe(0);
  for (const name of ["list", "show", "add", "remove", "verify", "import", "export"]) {
    expect(all.output).toContain(`  ${name} `);
  }
  expect((await experts("import", "--help")).output).toContain("$ cadre experts import ./library adapters/tickets");
}, 120_000);

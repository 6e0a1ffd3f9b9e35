import { expect, test } from "vitest";
import { createLibrary } from "../../src/library/node/library.js";
import { verifyLibrary } from "../../src/library/node/verify.js";
import { addInProcess, entriesOf } from "./many-processes.js";
import { sampleBase } from "./sample-experts.js";
import { temporaryFolder } from "./temporary-folder.js";

const folder = temporaryFolder();

test("two processes add at once and lose nothing", async () => {
  const library = await createLibrary(folder.path("library"), { base: sampleBase });
  const added = await Promise.all(
    ["one", "two"].map((prefix) => addInProcess({ library: library.path, prefix, count: 25 })),
  );
  const names = added.flatMap((process) => process.names);
  expect(names).toHaveLength(50);
  expect((await library.list()).map(({ manifest }) => manifest.name).sort()).toEqual(names.sort());
  expect(await verifyLibrary(library.path)).toEqual({ experts: 50, problems: [], leftovers: [] });
}, 120_000);

test("a killed add leaves nothing half-visible", async () => {
  const library = await createLibrary(folder.path("library"), { base: sampleBase });
  const promised: string[] = [];
  let kills = 0;
  for (const [run, milliseconds] of [0, 2, 10].entries()) {
    const { names, killed } = await addInProcess({
      library: library.path,
      prefix: `run ${run}`,
      count: 4,
      numbers: 2_000_000,
      kill: { which: 2, milliseconds },
    });
    promised.push(...names);
    kills += killed ? 1 : 0;
  }
  expect(kills).toBeGreaterThan(0);
  const visible = (await library.list()).map(({ manifest }) => manifest.name);
  expect(visible).toEqual(expect.arrayContaining(promised));
  const { experts, problems, leftovers } = await verifyLibrary(library.path);
  expect({ experts, problems }).toEqual({ experts: visible.length, problems: [] });
  expect(await entriesOf(library.path)).toHaveLength(experts + leftovers.length);
}, 120_000);

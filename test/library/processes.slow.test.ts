import { expect, test } from "vitest";
import { createLibrary } from "../../src/library/node/library.js";
import { verifyLibrary } from "../../src/library/node/verify.js";
import { addInProcess } from "./many-processes.js";
import { sampleBase } from "./sample-experts.js";
import { temporaryFolder } from "./temporary-folder.js";

const folder = temporaryFolder();

test("two processes add 500 experts each and lose nothing", async () => {
  const library = await createLibrary(folder.path("library"), { base: sampleBase });
  const start = performance.now();
  const added = await Promise.all(
    ["one", "two"].map((prefix) => addInProcess({ library: library.path, prefix, count: 500 })),
  );
  const names = added.flatMap((process) => process.names);
  const seconds = (performance.now() - start) / 1000;
  expect(new Set(names).size).toBe(1000);
  const listStart = performance.now();
  expect((await library.list()).map(({ manifest }) => manifest.name).sort()).toEqual(names.sort());
  console.log(
    `1,000 adds in ${seconds.toFixed(1)} s; a list of them in ${(performance.now() - listStart).toFixed(0)} ms`,
  );
  expect(await verifyLibrary(library.path)).toEqual({ experts: 1000, problems: [], leftovers: [] });
});

test("however an add is killed, nothing is half-visible and the next adds go on", async () => {
  const library = await createLibrary(folder.path("library"), { base: sampleBase });
  const promised: string[] = [];
  let kills = 0;
  for (let run = 0; run < 40; run += 1) {
    const { names, killed } = await addInProcess({
      library: library.path,
      prefix: `run ${run}`,
      count: 3,
      numbers: 200_000,
      kill: { which: 1 + (run % 3), milliseconds: run / 2 },
    });
    promised.push(...names);
    kills += killed ? 1 : 0;
  }
  expect(kills).toBeGreaterThan(10);
  const visible = (await library.list()).map(({ manifest }) => manifest.name);
  expect(visible).toEqual(expect.arrayContaining(promised));
  expect((await verifyLibrary(library.path)).problems).toEqual([]);
});

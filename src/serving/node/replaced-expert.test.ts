import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { openCadre } from "../../cadre/node/open-cadre.js";
import { addTinyExperts, type TinyExpert } from "../../cadre/node/tiny-library.test.helpers.js";
import { errorOf, post } from "../ask.test.helpers.js";
import { createHandler, type ServingFailure } from "../handler.js";

const letters: TinyExpert = {
  name: "letters",
  delta: { kind: "lora", config: { rank: 2, alpha: 4 } },
  choices: ["yes", "no"],
  keys: ["A 1", "B 2"],
};
const numbers: TinyExpert = { ...letters, name: "numbers", keys: ["1", "2 3"] };

test("experts that are replaced, removed, or gone with their library, under a handler that stays open", async () => {
  const folder = await mkdtemp(join(tmpdir(), "cadre-served-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const { library } = await addTinyExperts(folder, [letters, numbers]);
  const failures: ServingFailure[] = [];
  await using cadre = await openCadre(join(folder, "library"), { threads: 1 });
  const handler = createHandler(cadre, { onEvent: (event) => failures.push(event) });
  const classify = (model: string) => post(handler, "/v1/classify", { model, input: "A 1" });
  const list = async () => await (await handler(new Request("http://127.0.0.1/v1/models"))).text();

  // The base is a folder; the list says no more of it than its name. From here on the library counts as read for five seconds.
  expect(await list()).toContain('"id":"base:auto"');
  expect(await list()).not.toContain(folder);

  // None of them was asked before, so their files are read now.
  await library.remove("letters");
  await library.remove("numbers");
  await addTinyExperts(folder, [
    { ...letters, variant: 1 },
    { ...numbers, variant: 1 },
  ]);
  for (const model of ["auto", "letters"]) expect((await classify(model)).status).toBe(200);
  expect(failures).toEqual([]);

  await library.remove("numbers");
  const removed = await errorOf(await classify("numbers"));
  expect(removed).toMatchObject({ status: 404, code: "model_not_found" });
  expect(removed.message).not.toContain(folder);

  await rm(join(folder, "library"), { recursive: true });
  const unread = await errorOf(await handler(new Request("http://127.0.0.1/v1/models/unknown")));
  expect(unread.message).not.toContain(folder);
  // What is in memory still answers.
  expect((await classify("letters")).status).toBe(200);
}, 120_000);

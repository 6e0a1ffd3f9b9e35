import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import * as z from "zod";
import { at } from "../../src/core/at.js";
import { readJson } from "../../src/core/node/json.js";
import { createTokenGenerator } from "../../src/generation/token-generator.js";
import type { Model } from "../../src/models/model.js";
import { openModelFolder } from "../../src/models/node/model-folder.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import type { Weights } from "../../src/training/weights.js";
import { readScaledModel } from "../generation/scaled-model.js";
import { expectWithin, FIXTURES } from "./fixture.js";

const TOLERANCE = 1e-5;
const device = await openDevice({ threads: 1 });

const rowSchema = z.object({
  input: z.array(z.int()),
  ids: z.array(z.int()),
  logProbabilities: z.array(z.number()),
});
const caseSchema = z.object({ embeddingScale: z.number(), endId: z.int(), rows: z.array(rowSchema).min(6) });
/** What transformers' `generate` answers; tools/parity/generate_greedy.py makes it. */
const fixture = z
  .object({ newTokens: z.int(), models: z.object({ v1_0: caseSchema, v1_1: caseSchema }) })
  .parse(await readJson(fileURLToPath(new URL("../fixtures/generation/greedy.json", import.meta.url))));

async function expectAnswers(model: Model, weights: Weights, rows: z.output<typeof rowSchema>[]): Promise<void> {
  await using generator = createTokenGenerator({ device, model, weights });
  const answers = await generator.generate(
    rows.map(({ input }) => ({ input: Int32Array.from(input) })),
    { maxNewTokens: fixture.newTokens },
  );
  expect(answers.map(({ ids }) => [...ids])).toEqual(rows.map(({ ids }) => ids));
  expect(answers.map(({ finish }) => finish)).toEqual(
    rows.map(({ ids }) => (ids.at(-1) === model.endId ? "end" : "length")),
  );
  for (const [index, { logProbabilities }] of answers.entries()) {
    expectWithin(`row ${index}`, logProbabilities, at(rows, index).logProbabilities, TOLERANCE);
  }
}

test.each(["v1_0", "v1_1"] as const)("%s answers as transformers does, in one padded batch and alone", async (name) => {
  const { rows, ...scaling } = fixture.models[name];
  const { model, weights } = await readScaledModel(name, scaling);
  await expectAnswers(model, weights, rows);
  await expectAnswers(model, weights, rows.slice(0, 1));
});

test("weights mapped from their file answer alike", async () => {
  const { endId, rows } = fixture.models.v1_1;
  await using folder = await openModelFolder(join(FIXTURES, "v1_1"));
  await expectAnswers({ ...folder.model, endId }, folder.weights, rows);
});

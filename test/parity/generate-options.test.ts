import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import * as z from "zod";
import { at } from "../../src/core/at.js";
import { readJson } from "../../src/core/node/json.js";
import { createTokenGenerator } from "../../src/generation/token-generator.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import { readScaledModel } from "../generation/scaled-model.js";
import { expectWithin } from "./fixture.js";

const TOLERANCE = 1e-5;
const device = await openDevice({ threads: 1 });
afterAll(() => device.close());

const input = z.array(z.int()).transform((ids) => Int32Array.from(ids));
const caseSchema = z.object({
  embeddingScale: z.number(),
  endId: z.int(),
  beams: z.array(
    z.object({
      beams: z.int(),
      maxNewTokens: z.int(),
      repetitionPenalty: z.number(),
      rows: z.array(z.object({ input, ids: z.array(z.array(z.int())), scores: z.array(z.number()) })).min(4),
    }),
  ),
  greedy: z.array(
    z.object({
      maxNewTokens: z.int(),
      repetitionPenalty: z.number(),
      rows: z.array(z.object({ input, ids: z.array(z.int()) })).min(4),
    }),
  ),
});
/** What transformers' `generate` answers; tools/parity/generate_options.py makes it. */
const fixture = z
  .object({ models: z.object({ v1_0: caseSchema, v1_1: caseSchema }) })
  .parse(await readJson(fileURLToPath(new URL("../fixtures/generation/beams.json", import.meta.url))));

test.each(["v1_0", "v1_1"] as const)("%s finds the beams and scores that transformers finds", async (name) => {
  const { model, weights } = await readScaledModel(name, fixture.models[name]);
  await using generator = createTokenGenerator({ device, model, weights });
  for (const { beams, maxNewTokens, repetitionPenalty, rows } of fixture.models[name].beams) {
    const what = `${beams} beams, ${maxNewTokens} tokens, penalty ${repetitionPenalty}`;
    const found = await generator.searchBeams(
      rows.map((row) => ({ input: row.input, beams, repetitionPenalty })),
      { maxNewTokens },
    );
    for (const [row, { answers }] of found.entries()) {
      const { ids, scores } = at(rows, row);
      expect(
        answers.map((answer) => [...answer.ids]),
        what,
      ).toEqual(ids);
      expectWithin(
        what,
        answers.map(({ score }) => score),
        scores,
        TOLERANCE,
      );
    }
  }
});

test("searches of different widths, lengths and penalties in one call are those of each alone", async () => {
  const { model, weights } = await readScaledModel("v1_1", fixture.models.v1_1);
  await using generator = createTokenGenerator({ device, model, weights });
  const all = fixture.models.v1_1.beams.flatMap(({ rows, ...options }) => rows.map((row) => ({ ...options, ...row })));
  const found = await generator.searchBeams(all);
  expect(found.map(({ answers }) => answers.map(({ ids }) => [...ids]))).toEqual(all.map(({ ids }) => ids));
});

test.each(["v1_0", "v1_1"] as const)("%s answers greedily with repetition penalties as transformers", async (name) => {
  const { model, weights } = await readScaledModel(name, fixture.models[name]);
  await using generator = createTokenGenerator({ device, model, weights });
  // All penalties in one batch.
  const rows = fixture.models[name].greedy.flatMap(({ rows: own, repetitionPenalty, maxNewTokens }) =>
    own.map((row) => ({ ...row, options: { repetitionPenalty, maxNewTokens } })),
  );
  const answers = await generator.generate(rows);
  expect(answers.map(({ ids }) => [...ids])).toEqual(rows.map(({ ids }) => ids));
});

import { expect, test } from "vitest";
import { parseT5Config } from "../models/t5/config.js";
import { createT5 } from "../models/t5/t5.js";
import { flopsPerStep } from "./flops.js";
import { fittingSteps } from "./step-runner.js";

test("T5 v1.1 small at 8×512 and 8×128 tokens: 879 GFLOP a step, 620 with a frozen base", () => {
  const model = createT5(
    parseT5Config({
      d_model: 512,
      d_kv: 64,
      d_ff: 1024,
      num_layers: 8,
      num_heads: 6,
      feed_forward_proj: "gated-gelu",
      tie_word_embeddings: false,
    }),
  );
  const shape = { rows: 8, inputLength: 512, targetLength: 128, sequences: 8 };
  const giga = (frozen: boolean, accumulate = 1): number =>
    Math.round(flopsPerStep({ model, shape, accumulate, frozen }) / 1e9);
  expect(giga(false)).toBe(879);
  expect(giga(true)).toBe(620);
  expect(giga(false, 2)).toBe(1758);
});

test("steps a run are chosen so that an interval takes few runs", () => {
  expect(fittingSteps(16, Number.POSITIVE_INFINITY)).toBe(16);
  expect(fittingSteps(16, 10)).toBe(10);
  expect(fittingSteps(16, 20)).toBe(10);
  expect(fittingSteps(16, 100)).toBe(14); // 7 runs of 14 and 2 of 1
  expect(fittingSteps(4, 6)).toBe(3);
  expect(fittingSteps(1, 100)).toBe(1);
});

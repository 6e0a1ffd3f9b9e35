import { expect, test } from "vitest";
import { parseT5Config } from "./config.js";
import { t5ForwardCost } from "./cost.js";

/** T5 v1.1 small at the batch of DESIGN.md, "The engine". */
const small = parseT5Config({
  vocab_size: 32128,
  d_model: 512,
  d_kv: 64,
  num_heads: 6,
  d_ff: 1024,
  num_layers: 8,
  num_decoder_layers: 8,
  feed_forward_proj: "gated-gelu",
  tie_word_embeddings: false,
});
const shape = { rows: 8, inputLength: 512, targetLength: 128, sequences: 8 };

test("T5 v1.1 small costs what the design's table says: 879 GFLOP a step, 620 with a frozen base", () => {
  const { weightMultiplyAdds, activationMultiplyAdds } = t5ForwardCost(small, shape);
  const full = 2 * 3 * (weightMultiplyAdds + activationMultiplyAdds);
  const frozen = 2 * (2 * weightMultiplyAdds + 3 * activationMultiplyAdds);
  expect(full / 1e9).toBeCloseTo(879, -0.5);
  expect(frozen / 1e9).toBeCloseTo(620, -0.5);
  expect(full / 1e9 / (8 * 512)).toBeCloseTo(0.2146, 4);
  expect(frozen / 1e9 / (8 * 512)).toBeCloseTo(0.1513, 4);
});

test("the cost is proportional to the rows", () => {
  const one = t5ForwardCost(small, { ...shape, rows: 1 });
  const eight = t5ForwardCost(small, shape);
  expect(eight.weightMultiplyAdds).toBe(8 * one.weightMultiplyAdds);
  expect(eight.activationMultiplyAdds).toBe(8 * one.activationMultiplyAdds);
});

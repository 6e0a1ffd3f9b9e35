import { expect, test } from "vitest";
import { at } from "../core/at.js";
import { createDelta, type DeltaConfig } from "../experts/delta-config.js";
import { initialTensors } from "../models/initialize.js";
import type { PackedBatch } from "../models/packed-batch.js";
import { parseT5Config } from "../models/t5/config.js";
import { createT5 } from "../models/t5/t5.js";
import { createExpertStack, type LoadedExpert, partsByExperts } from "./expert-stack.js";

const { hookPoints: points } = createT5(
  parseT5Config({
    architectures: ["T5ForConditionalGeneration"],
    model_type: "t5",
    ...{ vocab_size: 20, d_model: 8, d_kv: 4, d_ff: 8, num_layers: 1, num_heads: 2, decoder_start_token_id: 0 },
  }),
);
const delta: DeltaConfig = { kind: "lora", config: { rank: 2, alpha: 2, targets: ["q"] } };

function expertOf(index: number): LoadedExpert {
  const tensors = initialTensors(createDelta(delta, points).parameters, index);
  const id = `expert ${index}`;
  return { id, key: id, delta, tensors };
}
const experts = Array.from({ length: 40 }, (_, index) => expertOf(index));
const held = (stack: ReturnType<typeof createExpertStack>, ...indices: number[]) =>
  stack.hold(indices.map((index) => at(experts, index)));

/** The slot of an expert in a batch of one row. */
function slotOf(feeds: ReturnType<typeof held>["delta"]["feeds"], id: string): number {
  const shape = { rows: 1, inputLength: 1, targetLength: 1, sequences: 1 };
  // Parse boundary of the test: only these two fields are read.
  const batch = { shape, segmentExperts: [[[{ id, weight: 1 }]]] } as unknown as PackedBatch;
  return Number(feeds?.(batch)["lora/rowExperts"]?.data[0]);
}

test("what is there already costs nothing; the same program serves as long as the slots suffice", () => {
  const stack = createExpertStack({ points, perRow: 1 });
  const one = held(stack, 0);
  expect(held(stack, 0)).toBe(one);
  const three = held(stack, 1, 2);
  expect(three.programKey).not.toBe(one.programKey);
  expect(held(stack, 0, 1)).toBe(three);
  const four = held(stack, 3);
  expect(four.programKey).toBe(three.programKey);
  expect(four.delta).toBe(three.delta);
  expect(four.tensors).not.toBe(three.tensors);
  expect(new Set([0, 1, 2, 3].map((index) => slotOf(four.delta.feeds, `expert ${index}`)))).toEqual(
    new Set([0, 1, 2, 3]),
  );
});

test("of more experts than there is room for, those that were wanted last are there", () => {
  const stack = createExpertStack({ points, perRow: 1 });
  expect(stack.capacity(experts)).toBe(32);
  for (const index of experts.keys()) held(stack, index);
  const last = held(stack, 39);
  expect(() => slotOf(last.delta.feeds, "expert 7")).toThrow(/expected experts among/);
  expect(slotOf(last.delta.feeds, "expert 8")).toBeLessThan(32);
  const back = held(stack, 0);
  expect(back.programKey).toBe(last.programKey);
  expect(slotOf(back.delta.feeds, "expert 0")).toBeLessThan(32);
});

test("rows are divided so that a part names no more experts than fit", () => {
  const rows = [[0], [1, 2], [], [2], [3], [0]].map((own) => ({
    experts: own.map((index) => ({ expert: at(experts, index) })),
  }));
  const parts = partsByExperts(rows, 2);
  expect(parts.map((part) => part.rows)).toEqual([[0], [1, 2, 3], [4, 5]]);
  expect(parts.map((part) => part.experts.map(({ id }) => id))).toEqual([
    ["expert 0"],
    ["expert 1", "expert 2"],
    ["expert 3", "expert 0"],
  ]);
  expect(partsByExperts([], 2)).toEqual([]);
});

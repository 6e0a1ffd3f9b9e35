import type { InferenceSession } from "onnxruntime-node";
import { expect, test } from "vitest";
import type { DType } from "../../tensors/dtype.js";
import { checkFeeds, type TensorFacts } from "./check-feeds.js";

const input = (name: string, shape: readonly (number | string)[]): InferenceSession.ValueMetadata => ({
  name,
  isTensor: true,
  type: "float32",
  shape,
});

const facts = (shape: readonly number[], dtype: DType = "float32"): TensorFacts => ({
  dtype,
  shape,
  elements: shape.reduce((product, size) => product * size, 1),
});

const check = (
  inputs: readonly InferenceSession.ValueMetadata[],
  feeds: Record<string, TensorFacts>,
  slots?: Record<string, TensorFacts>,
) =>
  checkFeeds({
    name: "step",
    inputs,
    feeds: new Map(Object.entries(feeds)),
    slots: slots && new Map(Object.entries(slots)),
  });

test("symbols take any size, but the same one everywhere", () => {
  const inputs = [input("x", ["batch", "length", 4]), input("y", ["batch"]), input("z", ["", ""])];
  check(inputs, { x: facts([3, 5, 4]), y: facts([3]), z: facts([1, 2]) });
  expect(() => check(inputs, { x: facts([3, 5, 4]), y: facts([2]), z: facts([1, 2]) })).toThrow(
    'run(step): expected "batch" = 3 for feed "y" as for "x", got float32 [2]; correct the feed',
  );
  expect(() => check(inputs, { x: facts([3, 4]), y: facts([3]), z: facts([1, 2]) })).toThrow(
    'run(step): expected float32 [batch, length, 4] for feed "x", got float32 [3, 4]; correct the feed',
  );
  expect(() => check(inputs, { x: facts([3, 5, 4]), y: facts([3]), z: facts([1]) })).toThrow("float32 [?, ?]");
});

test("slots are named as such, and may be more than the inputs", () => {
  const inputs = [input("w", [2])];
  check(inputs, {}, { w: facts([2]), other: facts([9], "int32") });
  expect(() => check(inputs, {}, { w: facts([3]) })).toThrow(
    'run(step): expected float32 [2] for slot "w", got float32 [3]; write the slot anew',
  );
  expect(() => check(inputs, {}, {})).toThrow(
    'run(step): expected a tensor for input "w", got neither a feed nor a slot of the state; add it to the feeds',
  );
});

test("an input without a known shape takes every shape", () => {
  check([input("x", [])], { x: facts([2, 2]) });
  check([input("x", [])], { x: facts([]) });
});

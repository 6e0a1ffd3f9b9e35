import { expect, test } from "vitest";
import type { DeltaConfig } from "../experts/delta-config.js";
import type { Tensor } from "../tensors/tensor.js";
import { baseContestant, groupContestants, mergedContestants, trainedContestant } from "./contestants.js";
import type { TrainedSystem } from "./trained-system.js";

function trained(id: string, delta: DeltaConfig | undefined, value: number): TrainedSystem {
  const tensor: Tensor = { dtype: "float32", shape: [1], data: Float32Array.of(value) };
  return {
    id,
    task: id,
    delta,
    readTensors: async () => new Map([["w", tensor]]),
    sha256: id,
    steps: 1,
    trainingFlops: 1,
  };
}

const vectors: DeltaConfig = { kind: "ia3", config: { targets: ["k"], feedForwardTargets: [] } };
const width: DeltaConfig = { kind: "bottleneck", config: { width: 2 } };

test("one configuration shares programs; all weights of its own do not, merged ones of two tasks neither", async () => {
  const full = [trained("a", undefined, 1), trained("b", undefined, 3)];
  const merged = await mergedContestants([
    { task: "one", experts: full },
    { task: "two", experts: full.slice(1) },
  ]);
  if ("reason" in merged) {
    throw new Error(merged.reason);
  }
  const alone = [baseContestant("0"), ...full.map((one) => trainedContestant(`expert:${one.id}`, one))];
  const together = ["c", "d"].map((id) => trainedContestant(`expert:${id}`, trained(id, vectors, 1)));
  const other = trainedContestant("expert:e", trained("e", width, 1));
  const all = [...alone, ...together, other, ...merged.contestants];
  expect(groupContestants(all)).toEqual([
    ...alone.map((one) => [one]),
    together,
    [other],
    ...merged.contestants.map((one) => [one]),
  ]);
  const held = await Promise.all(merged.contestants.map(({ tensors }) => tensors()));
  expect(held.map((tensors) => tensors.get("w")?.data)).toEqual([Float32Array.of(2), Float32Array.of(3)]);
  expect(merged.contestants.map(({ task }) => task)).toEqual(["one", "two"]);
  for (const [index, { tensors }] of merged.contestants.entries()) expect(await tensors()).toBe(held[index]);
});

test("the hash of merged experts changes with who is merged for what", async () => {
  const [a, b] = [trained("a", vectors, 1), trained("b", vectors, 2)];
  const hashOf = async (...experts: TrainedSystem[]) => {
    const merged = await mergedContestants([{ task: "one", experts }]);
    return "reason" in merged ? merged.reason : merged.sha256;
  };
  expect(await hashOf(a, b)).toBe(await hashOf(a, b));
  expect(await hashOf(a, { ...b, sha256: "c" })).not.toBe(await hashOf(a, b));
  expect(await hashOf(a)).not.toBe(await hashOf(a, b));
  expect(await hashOf()).toMatch(/task "one": merge: expected at least one expert/);
  expect(await hashOf(a, trained("c", width, 1))).toMatch(/of one kind, got "a" \(ia3\) and "c" \(bottleneck\)/);
});

import { expect, test } from "vitest";
import { type Tensor, tensor } from "../tensors/tensor.js";
import type { TensorSource } from "../tensors/tensor-source.js";
import { hashBase } from "./base-hash.js";

/** Tensors in the order given, as a file holds them. */
function hashOf(tensors: readonly (readonly [string, Tensor])[], names = ["a", "b"], kind = "t5"): Promise<string> {
  const found = new Map(tensors);
  const source: Pick<TensorSource, "read"> = {
    read: async (name) => found.get(name) ?? expect.unreachable(),
  };
  const parameters = names.map((name) => ({ name, shape: [2], initializer: { kind: "zeros" } as const }));
  const weights = {
    path: "",
    metadata: new Map(),
    tensors: new Map(),
    close: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
  return hashBase({ model: { kind, parameters }, weights: { ...weights, ...source } });
}

const a: readonly [string, Tensor] = ["a", tensor("float32", [2], Float32Array.of(1, 2))];
const b: readonly [string, Tensor] = ["b", tensor("float32", [2], Float32Array.of(3, 4))];

test("order in the file, tensors that the model does not use and the order of parameters make no difference", async () => {
  const expected = await hashOf([a, b]);
  expect(expected).toMatch(/^[0-9a-f]{64}$/);
  expect(await hashOf([b, ["unused", a[1]], a])).toBe(expected);
  expect(await hashOf([a, b], ["b", "a"])).toBe(expected);
});

test("any change of name, shape, dtype, one bit, or the places of two tensors makes another base", async () => {
  const hashes = await Promise.all([
    hashOf([a, b]),
    hashOf([a, b], ["a"]),
    hashOf([a, b], ["a", "b"], "bert"),
    hashOf([
      ["a", b[1]],
      ["b", a[1]],
    ]),
    hashOf([["c", a[1]], b], ["b", "c"]),
    hashOf([["a", tensor("float32", [1, 2], Float32Array.of(1, 2))], b]),
    hashOf([["a", tensor("float32", [2], Float32Array.of(1, -2))], b]),
    hashOf([["a", tensor("float32", [2], Float32Array.of(1, 2 + 2 ** -22))], b]),
    hashOf([["a", tensor("int32", [2], new Int32Array(Float32Array.of(1, 2).buffer))], b]),
  ]);
  expect(new Set(hashes).size).toBe(hashes.length);
});

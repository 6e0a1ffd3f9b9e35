import { describe, expect, test } from "vitest";
import type { Tensor } from "../../src/tensors/tensor.js";
import { opCases } from "./op-cases.js";
import { buildOpGraph, dimensionsOf, feedsFor } from "./op-program.js";
import { compileGraph, runGraph } from "./run-graph.js";

function bytesOf(tensor: Tensor | undefined): Buffer | undefined {
  return tensor && Buffer.from(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
}

describe("one program with symbolic dimensions equals a program for each size, outputs and gradients", () => {
  test.each(opCases)("$name", async (opCase) => {
    const fixed = new Set(opCase.fixed);
    // Sizes differ from each other and between the two runs, except where the operation needs numbers.
    const sizesOf = (step: number) =>
      Object.fromEntries(dimensionsOf(opCase).map((dim, index) => [dim, 2 + index + (fixed.has(dim) ? 0 : step)]));
    const symbolic = buildOpGraph(opCase, { dtype: "float32", sizes: sizesOf(0), symbolic: true });
    await using program = await compileGraph(symbolic.graph);
    for (const step of [0, 3]) {
      const options = { dtype: "float32", sizes: sizesOf(step) } as const;
      const numeric = buildOpGraph(opCase, options);
      const feeds = feedsFor(opCase, numeric, options, step);
      const expected = await runGraph(numeric.graph, feeds);
      const { outputs } = await program.run(feeds);
      for (const name of Object.keys(expected)) {
        expect(outputs[name]?.shape, name).toEqual(expected[name]?.shape);
        expect(bytesOf(outputs[name]), name).toEqual(bytesOf(expected[name]));
      }
    }
  });
});

import { Graph } from "../graph/graph.js";
import { matmul } from "../graph/ops/matmul.js";
import { serializeGraph } from "../graph/serialize.js";
import type { Tensor } from "../tensors/tensor.js";
import type { Device } from "./device.js";

/** Sides of the square products that are tried. */
const SIDES = [1024, 1536, 2048];
/** Products in one run, one after the other, so that passing messages does not count. */
const CHAIN = 4;
const REPETITIONS = 5;

/**
 * The fastest float32 matrix product that the device reaches, in GFLOP/s: the best run of several square products. Takes about two
 * seconds; what a training step reaches is stated as a share of it.
 */
export async function measureGemmPeak(device: Device): Promise<number> {
  let best = 0;
  for (const side of SIDES) {
    const graph = new Graph();
    const left = graph.input("left", "float32", [side, side]);
    const right = graph.input("right", "float32", [side, side]);
    let product = left;
    for (let link = 0; link < CHAIN; link++) {
      product = matmul(product, right);
    }
    graph.output("product", product);
    await using program = await device.compile(serializeGraph(graph), { name: `product of side ${side}` });
    // Small numbers: sums stay near 1 along the chain, so that no infinities or denormals change the speed.
    const data = Float32Array.from({ length: side * side }, (_, index) => ((index % 7) - 3) / (2 * Math.sqrt(side)));
    const matrix: Tensor = { dtype: "float32", shape: [side, side], data };
    for (let repetition = 0; repetition < REPETITIONS; repetition++) {
      const { seconds } = await program.run({ left: matrix, right: matrix });
      best = Math.max(best, (2 * side ** 3 * CHAIN) / seconds / 1e9);
    }
  }
  return best;
}

import type { Graph } from "../../src/graph/graph.js";
import { serializeGraph } from "../../src/graph/serialize.js";
import type { Device, Program } from "../../src/runtime/device.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import type { DType } from "../../src/tensors/dtype.js";
import { dataClassOf } from "../../src/tensors/dtype.js";
import { type Tensor, tensor } from "../../src/tensors/tensor.js";

/** Feeds or outputs by name. */
export type Tensors = Readonly<Record<string, Tensor>>;

let device: Promise<Device> | undefined;

/** Compiles on a device that all tests of a file share; its worker does not keep the process alive. */
export async function compileGraph(graph: Graph): Promise<Program> {
  device ??= openDevice({ threads: 1 });
  return (await device).compile(serializeGraph(graph));
}

/** Compiles a graph and runs it once. */
export async function runGraph(graph: Graph, feeds: Tensors = {}): Promise<Tensors> {
  await using program = await compileGraph(graph);
  return (await program.run(feeds)).outputs;
}

/** A tensor of any dtype out of plain numbers. */
export function tensorOf(dtype: DType, shape: readonly number[], numbers: ArrayLike<number>): Tensor {
  if (dtype === "int64") {
    return tensor("int64", shape, BigInt64Array.from(Array.from(numbers), BigInt));
  }
  const data = new (dataClassOf(dtype))(numbers.length);
  for (let index = 0; index < numbers.length; index++) {
    data[index] = numbers[index] ?? 0;
  }
  return { dtype, shape: [...shape], data };
}

/** A scalar tensor. */
export function scalarOf(dtype: DType, number: number): Tensor {
  return tensorOf(dtype, [], [number]);
}

/** The elements of an output as plain numbers. */
export function numbersOf(tensors: Tensors, name: string): number[] {
  const found = tensors[name];
  if (found === undefined) {
    throw new Error(`expected an output ${name}, got ${Object.keys(tensors).join(", ")}`);
  }
  return Array.from(found.data, Number);
}

/** The shape of an output. */
export function shapeOf(tensors: Tensors, name: string): readonly number[] | undefined {
  return tensors[name]?.shape;
}

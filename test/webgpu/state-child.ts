/**
 * What programs do with states on a device, in a process of its own: `node state-child.js KIND`. Prints what was found as one line of JSON, the same
 * on every device, and ends with exit code 7 and an open device.
 */
import { CadreError } from "../../src/core/errors.js";
import { Graph } from "../../src/graph/graph.js";
import { add, cast, div, mul } from "../../src/graph/ops/elementwise.js";
import { slice } from "../../src/graph/ops/shape-ops.js";
import { serializeGraph } from "../../src/graph/serialize.js";
import type { Device, Program, State } from "../../src/runtime/device.js";
import { checkDeviceKind, openDevice } from "../../src/runtime/node/open-device.js";
import { type Tensor, tensor } from "../../src/tensors/tensor.js";

const [kind = ""] = process.argv.slice(2);
checkDeviceKind(kind, "state-child");
const found: Record<string, unknown> = {};
const floats = (...numbers: number[]): Tensor => tensor("float32", [numbers.length], Float32Array.from(numbers));
const plain = (tensors: ReadonlyMap<string, Tensor>) =>
  Object.fromEntries(
    [...tensors].map(([name, { dtype, shape, data }]) => [name, [dtype, shape, Array.from(data, Number)]]),
  );

/** `sum` grows by `step`; `ratio`, which guards, is `step / sum` before. */
async function counter(device: Device): Promise<Program> {
  const graph = new Graph();
  const sum = graph.input("sum", "float32", [3]);
  const step = graph.input("step", "float32", [3]);
  graph.output("next", add(sum, step));
  graph.output("ratio", div(step, sum));
  return device.compile(serializeGraph(graph), { name: "counter", updates: { sum: "next" }, guards: ["ratio"] });
}

/** Slots of several dtypes, each doubled or copied. */
async function kinds(device: Device): Promise<Program> {
  const graph = new Graph();
  const slots = (["float32", "float64", "int64", "int32", "bool"] as const).map((dtype) =>
    graph.input(dtype, dtype, [2]),
  );
  for (const slot of slots) {
    graph.output(`next ${slot.dtype}`, slot.dtype === "bool" ? slot : add(slot, slot));
  }
  const updates = Object.fromEntries(slots.map(({ name }) => [name, `next ${name}`]));
  return device.compile(serializeGraph(graph), { name: "kinds", updates });
}

/** `table [4, 2]` twice as large, which leaves in two parts. */
async function parts(device: Device): Promise<Program> {
  const graph = new Graph();
  const doubled = mul(graph.input("table", "float32", [4, 2]), 2);
  graph.output("top", slice(doubled, { axis: 0, start: 0, end: 1 }));
  graph.output("rest", slice(doubled, { axis: 0, start: 1, end: 4 }));
  return device.compile(serializeGraph(graph), { name: "parts", updates: { table: ["top", "rest"] } });
}

/** One output for two slots, and one that is a guard too. */
async function shared(device: Device): Promise<Program> {
  const graph = new Graph();
  const left = graph.input("left", "float32", [2]);
  const right = graph.input("right", "float32", [2]);
  graph.output("both", add(left, right));
  graph.output("guarded", cast(cast(left, "int32"), "float32"));
  const updates = { left: "both", right: "both", third: "guarded" };
  return device.compile(serializeGraph(graph), { name: "shared", updates, guards: ["guarded"] });
}

async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return CadreError.isInstance(error) ? [error.code, error.message.slice(0, 60)] : String(error);
}

async function use(device: Device, label: string): Promise<State> {
  const state = await device.createState(new Map([["sum", floats(1, 2, 3)]]));
  const first = await counter(device);
  const committed: boolean[] = [];
  for (const step of [floats(1, 1, 1), floats(2, 2, 2), floats(Number.NaN, 0, 0)]) {
    committed.push((await first.run({ step }, { state })).committed);
  }
  found[`${label} committed`] = committed;
  found[`${label} wrong feed`] = await errorOf(first.run({ step: floats(1) }, { state }));
  found[`${label} after errors`] = plain(await state.read());
  // What it has left has to outlive it, for reading and for the next program.
  await first.close();
  found[`${label} after close`] = plain(await state.read());
  const second = await counter(device);
  await second.run({ step: floats(10, 20, 30) }, { state });
  await state.write(new Map([["other", floats(0.5)]]));
  found[`${label} by another program`] = plain(await state.read());
  await state.write(new Map([["sum", floats(7, 8, 9)]]));
  await second.run({ step: floats(1, 1, 1) }, { state });
  await second.close();
  found[`${label} written over`] = plain(await state.read(["sum"]));
  return state;
}

{
  await using device = await openDevice({ kind, threads: 1 });
  found.device = device.kind;
  await using state = await use(device, "first");
  await using mixed = await device.createState(
    new Map<string, Tensor>([
      ["float32", floats(1.5, -2)],
      ["float64", tensor("float64", [2], Float64Array.of(1e300, 2))],
      ["int64", tensor("int64", [2], BigInt64Array.of(2n ** 40n, -3n))],
      ["int32", tensor("int32", [2], Int32Array.of(5, -6))],
      ["bool", tensor("bool", [2], Uint8Array.of(1, 0))],
      ["table", tensor("float32", [4, 2], Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8))],
      ["left", floats(1, 2)],
      ["right", floats(3, 4)],
      ["third", floats(0, 0)],
    ]),
  );
  for (const compile of [kinds, parts, shared]) {
    await using program = await compile(device);
    await program.run({}, { state: mixed });
    await program.run({}, { state: mixed });
  }
  found.mixed = plain(await mixed.read());
  // Two at once, then one with a state that is still there when the device closes.
  await using beside = await openDevice({ kind, threads: 1 });
  await Promise.all([use(device, "beside one"), use(beside, "beside two")]);
  found["first, in the end"] = plain(await state.read());
}
const again = await openDevice({ kind, threads: 1 });
await use(again, "again");
process.stdout.write(`${JSON.stringify(found)}\n`, () => process.exit(7));

import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CadreError } from "../../core/errors.js";
import { Graph } from "../../graph/graph.js";
import { add } from "../../graph/ops/elementwise.js";
import { slice } from "../../graph/ops/shape-ops.js";
import { serializeGraph } from "../../graph/serialize.js";
import { hasDType, type Tensor, tensor } from "../../tensors/tensor.js";
import type { Device, Program, State } from "../device.js";
import { openDevice } from "./open-device.js";
import {
  constant,
  counterModel,
  floats,
  model,
  node,
  productModel,
  slowModel,
  value,
} from "./tiny-models.test.helpers.js";

let device: Device;
beforeAll(async () => {
  device = await openDevice({ threads: 2 });
});
afterAll(() => device.close());

/** The CadreError that a promise rejects with. */
async function failure(promise: Promise<unknown>): Promise<CadreError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!CadreError.isInstance(error)) throw new Error("expected a CadreError", { cause: error });
  return error;
}

describe("run", () => {
  test("computes, and says which inputs and outputs there are", async () => {
    await using program = await device.compile(productModel(), { name: "product" });
    expect(program.inputs).toEqual(["x"]);
    expect(program.outputs).toEqual(["y"]);
    const { outputs, committed, seconds } = await program.run({ x: floats([2, 2], [1, 0, 1, 1]) });
    expect(outputs.y).toEqual(floats([2, 2], [1, 2, 4, 6]));
    expect(committed).toBe(true);
    expect(seconds).toBeGreaterThan(0);
  });

  test("copies the feeds at the call: they stay with the caller, who may change them at once", async () => {
    await using program = await device.compile(productModel());
    const x = floats([1, 2], [1, 1]);
    const run = program.run({ x });
    x.data.fill(100);
    expect((await run).outputs.y).toEqual(floats([1, 2], [4, 6]));
    expect(x.data).toEqual(Float32Array.of(100, 100));
  });

  test("takes a view of a larger buffer", async () => {
    await using program = await device.compile(productModel());
    const x = tensor("float32", [1, 2], new Float32Array([9, 9, 1, 0]).subarray(2));
    expect((await program.run({ x })).outputs.y).toEqual(floats([1, 2], [1, 2]));
  });

  test("keeps the order of the calls", async () => {
    await using program = await device.compile(productModel());
    const runs = Array.from({ length: 20 }, (_, index) => program.run({ x: floats([1, 2], [index, 0]) }));
    const results = await Promise.all(runs);
    expect(results.map(({ outputs }) => outputs.y?.data[0])).toEqual(Array.from({ length: 20 }, (_, index) => index));
  });

  test.each<Tensor>([
    tensor("bool", [2], Uint8Array.of(1, 0)),
    tensor("float16", [2], Uint16Array.of(0x3c00, 0x7bff)),
    tensor("float64", [2], Float64Array.of(1e300, -0.5)),
    tensor("int64", [2], BigInt64Array.of(-(2n ** 62n), 7n)),
    tensor("int32", [2], Int32Array.of(-5, 6)),
    tensor("uint8", [2], Uint8Array.of(255, 0)),
    tensor("int8", [2], Int8Array.of(-128, 3)),
    tensor("uint32", [2], Uint32Array.of(2 ** 32 - 1, 0)),
    tensor("uint64", [2], BigUint64Array.of(2n ** 63n, 0n)),
    tensor("float32", [], Float32Array.of(2.5)),
    tensor("float32", [0, 2], new Float32Array(0)),
  ])("carries $dtype $shape both ways", async (given) => {
    if (given.dtype === "bfloat16") throw new Error("not carried");
    await using program = await device.compile(
      model({
        inputs: [value("x", given.shape, given.dtype)],
        outputs: [value("y", given.shape, given.dtype)],
        nodes: [node("Identity", ["x"], "y")],
      }),
    );
    expect((await program.run({ x: given })).outputs.y).toEqual(given);
  });

  test("leaves the caller's thread free", async () => {
    await using program = await device.compile(slowModel(2048));
    let ticks = 0;
    const timer = setInterval(() => ticks++, 5);
    const { seconds } = await program.run({ x: floats([2048, 2048], new Float32Array(2048 * 2048).fill(1e-3)) });
    clearInterval(timer);
    // A quarter of what an idle machine shows.
    expect(ticks).toBeGreaterThan((seconds * 1000) / 5 / 4);
  });
});

test("a profile is written when the program closes", async () => {
  const folder = await mkdtemp(join(tmpdir(), "cadre-profile-"));
  try {
    const program = await device.compile(productModel(), {
      profilePrefix: join(folder, "product"),
      prepackWeights: true,
    });
    await program.run({ x: floats([1, 2], [1, 1]) });
    await program.close();
    const [file = "none"] = await readdir(folder);
    expect(file).toMatch(/^product.*\.json$/);
    expect(await readFile(join(folder, file), "utf8")).toContain("MatMul");
  } finally {
    await rm(folder, { recursive: true });
  }
});

describe("state", () => {
  let counter: Program;
  let state: State;
  const step = floats([1], [2]);
  beforeAll(async () => {
    counter = await device.compile(counterModel(), { name: "counter", updates: { n: "next" }, guards: ["ratio"] });
    state = await device.createState(new Map([["n", floats([1], [1])]]));
  });
  const current = async () => (await state.read()).get("n");

  test("is fed and replaced, and its outputs stay in the worker", async () => {
    await state.write(new Map([["n", floats([1], [1])]]));
    const first = await counter.run({ step }, { state });
    expect(Object.keys(first.outputs)).toEqual(["ratio"]);
    await counter.run({ step }, { state });
    expect(await current()).toEqual(floats([1], [5]));
  });

  test("is read as a copy and can be read again", async () => {
    const copy = await current();
    if (copy === undefined || !hasDType(copy, "float32")) throw new Error("expected float32");
    copy.data.fill(77);
    expect(await current()).not.toEqual(floats([1], [77]));
    expect((await failure(state.read(["m"]))).message).toBe('read: expected slots of the state, got "m"; it has n');
  });

  test("stays as it was when a guard is not finite", async () => {
    await state.write(new Map([["n", floats([1], [0])]]));
    const infinite = await counter.run({ step }, { state });
    expect(infinite.committed).toBe(false);
    expect(infinite.outputs).toEqual({ ratio: floats([1], [Number.POSITIVE_INFINITY]) });
    const notANumber = await counter.run({ step: floats([1], [0]) }, { state });
    expect(notANumber.committed).toBe(false);
    expect(await current()).toEqual(floats([1], [0]));
  });

  test("is put together from the parts of an update, all or nothing", async () => {
    // x + step in two parts of a row each; the second part is not finite where step is not.
    const graph = new Graph();
    const sum = add(graph.input("x", "float32", [2, 2]), graph.input("step", "float32", []));
    graph.output("upper", slice(sum, { axis: 0, start: 0, end: 1 }));
    graph.output("lower", slice(sum, { axis: 0, start: 1, end: 2 }));
    await using program = await device.compile(serializeGraph(graph), {
      updates: { x: ["upper", "lower"] },
      guards: ["lower"],
    });
    await using state = await device.createState(new Map([["x", floats([2, 2], [1, 2, 3, 4])]]));
    const { outputs } = await program.run({ step: floats([], [1]) }, { state });
    expect(outputs).toEqual({});
    expect((await state.read()).get("x")).toEqual(floats([2, 2], [2, 3, 4, 5]));
    const { committed } = await program.run({ step: floats([], [Number.NaN]) }, { state });
    expect(committed).toBe(false);
    expect((await state.read()).get("x")).toEqual(floats([2, 2], [2, 3, 4, 5]));
    await using half = await device.compile(serializeGraph(graph), { updates: { x: ["upper", "upper", "lower"] } });
    const error = await failure(half.run({ step: floats([], [1]) }, { state }));
    expect(error.message).toContain('parts that make up slot "x"');
  });

  test("gives way to a feed of the same name", async () => {
    await state.write(new Map([["n", floats([1], [1])]]));
    await counter.run({ step, n: floats([1], [10]) }, { state });
    expect(await current()).toEqual(floats([1], [12]));
  });

  test("is shared by the programs of a device", async () => {
    await state.write(new Map([["n", floats([1], [1])]]));
    await using other = await device.compile(counterModel(), { updates: { n: "next" } });
    await counter.run({ step }, { state });
    await other.run({ step }, { state });
    expect(await current()).toEqual(floats([1], [5]));
  });

  test("is required where a program has updates", async () => {
    const error = await failure(counter.run({ step, n: step }));
    expect(error.message).toBe("run(counter): expected a state for the updates of n, got none; pass `state`");
  });

  test("works on its own device only, and not after close", async () => {
    await using other = await openDevice({ threads: 1 });
    await using foreign = await other.createState(new Map());
    expect((await failure(counter.run({ step }, { state: foreign }))).code).toBe("invalid-argument");
    const closed = await device.createState(new Map());
    await closed.close();
    await closed.close();
    expect((await failure(closed.read())).code).toBe("closed");
    expect((await failure(closed.write(new Map()))).code).toBe("closed");
    expect((await failure(counter.run({ step }, { state: closed }))).code).toBe("closed");
  });
});

describe("what does not fit is named", () => {
  let product: Program;
  beforeAll(async () => {
    product = await device.compile(productModel(), { name: "product" });
  });

  test("feeds of the wrong name, dtype, shape", async () => {
    const message = async (feeds: Record<string, Tensor>) => (await failure(product.run(feeds))).message;
    expect(await message({ z: floats([1], [1]) })).toBe(
      'run(product): expected feeds among "x", got "z"; leave it out or correct its name',
    );
    expect(await message({})).toBe(
      'run(product): expected a tensor for input "x", got no feed and no state; add it to the feeds or write it to the state',
    );
    expect(await message({ x: tensor("int32", [1, 2], Int32Array.of(1, 2)) })).toBe(
      'run(product): expected float32 [batch, 2] for feed "x", got int32 [1, 2]; correct the feed',
    );
    expect(await message({ x: floats([1, 3], [1, 2, 3]) })).toBe(
      'run(product): expected float32 [batch, 2] for feed "x", got float32 [1, 3]; correct the feed',
    );
    expect(await message({ x: { dtype: "float32", shape: [2, 2], data: new Float32Array(2) } })).toBe(
      'run(product): expected 4 elements for feed "x" of shape [2, 2], got 2; correct the feed',
    );
  });

  test("bytes that are no model, outputs that are not there", async () => {
    const bad = await failure(device.compile(Uint8Array.of(1, 2, 3), { name: "bad" }));
    expect(bad.code).toBe("invalid-argument");
    expect(bad.message).toMatch(/^compile\(bad\): ONNX Runtime failed: /);
    const compile = (options: Parameters<Device["compile"]>[1]) => failure(device.compile(counterModel(), options));
    expect((await compile({ name: "c", updates: { n: "m" } })).message).toBe(
      'compile(c): expected an output for update "n", got "m"; the graph has next, ratio',
    );
    expect((await compile({ name: "c", guards: ["m"] })).message).toBe(
      'compile(c): expected outputs as guards, got "m"; the graph has next, ratio',
    );
  });

  test("what ONNX Runtime finds during the run, after which the program still works", async () => {
    await using program = await device.compile(
      model({
        inputs: [value("index", [1], "int64")],
        outputs: [value("y", [1])],
        nodes: [node("Gather", ["table", "index"], "y")],
        constants: [constant("table", [2], Float32Array.of(5, 6))],
      }),
      { name: "lookup" },
    );
    const error = await failure(program.run({ index: tensor("int64", [1], BigInt64Array.of(9n)) }));
    expect(error.code).toBe("invalid-argument");
    expect(error.message).toMatch(/^run\(lookup\): ONNX Runtime failed: .*Gather/s);
    const good = await program.run({ index: tensor("int64", [1], BigInt64Array.of(1n)) });
    expect(good.outputs.y).toEqual(floats([1], [6]));
  });

  test("a lack of memory", async () => {
    await using program = await device.compile(
      model({
        inputs: [value("x", [1]), value("shape", [2], "int64")],
        outputs: [value("y", ["a", "b"])],
        nodes: [node("Expand", ["x", "shape"], "y")],
      }),
      { name: "huge" },
    );
    const shape = tensor("int64", [2], BigInt64Array.of(2n ** 24n, 2n ** 20n));
    const error = await failure(program.run({ x: floats([1], [1]), shape }));
    expect(error.code).toBe("out-of-memory");
    expect(error.message).toMatch(/^run\(huge\): expected enough memory/);
  });
});
